/** Makes jobs, epochs and search methods for the tests. */

/** @param {Partial<Job>} fields @returns {Job} */
export function job(fields = {}) {
  return {
    id: "01a204dd-203c-7526-803f-c3ac98d05626",
    kind: "search",
    owner: null,
    project: null,
    name: null,
    labels: {},
    pinned: false,
    priority: 5,
    preemptible: true,
    preempted_by: null,
    preemptions: 0,
    pool: "default",
    gpus: 1,
    max_attempts: 3,
    max_runtime: null,
    not_before: null,
    window: null,
    time_zone: "UTC",
    status: "running",
    status_reason: null,
    progress: null,
    spec: { family: "cnn", dataset: "digits", epochs: 10 },
    attempt: 1,
    worker: null,
    threads: null,
    created_at: "2026-01-01T00:00:00Z",
    started_at: null,
    finished_at: null,
    metrics: null,
    best: null,
    error: null,
    actions: [],
    objective: { metric: "validation_accuracy", direction: "max" },
    last_sequence: 0,
    links: { self: "/searches/01a204dd-203c-7526-803f-c3ac98d05626" },
    ...fields,
  };
}

/** @param {number} number @param {Metrics} metrics @returns {Epoch} */
export function epoch(number, metrics) {
  const created_at = "2026-01-01T00:00:03Z";
  return { epoch: number, attempt: 1, metrics, seconds: 3, created_at, genotype: null, alphas: null, strengths: null };
}

/** @param {string} name @param {Record<string, number | string | null>} defaults @param {Family[]} families @returns {Method} */
export function method(name, defaults = {}, families = ["cnn", "rnn"]) {
  const fields = Object.entries(defaults).map(([field, value]) => ({
    name: field,
    description: "",
    default: value,
    rule: value === null ? "by a rule" : null,
  }));
  return {
    name,
    title: name,
    source: "",
    summary: "",
    cost: "1",
    families,
    orders: [1],
    defaults: {},
    most_gpus: null,
    levels: "both",
    trains: true,
    targets: true,
    trains_alphas: true,
    fields,
    published: [],
  };
}

/** @param {EventKind} kind @param {unknown} data */
export function event(kind, data) {
  return /** @type {JobEvent} */ ({ kind, data, sequence: 1, job_id: "" });
}
