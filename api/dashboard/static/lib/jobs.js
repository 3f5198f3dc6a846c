/** Reads jobs: titles, progress, best epochs and possible actions. Applies events to them. */
import { shortId } from "./format.js";

/** @type {Set<Status>} */
export const ENDED = new Set(["succeeded", "failed", "cancelled"]);

/**
 * Whether the job consists of other jobs.
 * @param {Job} job
 */
export function isComposite(job) {
  return "children" in job.links;
}

/** @param {string} action @param {Job} job */
export function allowed(action, job) {
  return job.actions?.includes(action) ?? false;
}

/** @param {Job} job */
export function title(job) {
  return job.name ?? `${job.spec.dataset} ${job.kind} ${shortId(job.id)}`;
}

/**
 * A job's progress from 0 to 1. `progress.epoch` is the epoch in work; `step` equals `steps` once it has ended.
 * @param {Job} job
 */
export function share(job) {
  const at = job.progress;
  if (job.status === "succeeded") return 1;
  if (!at?.epochs || !at.epoch) return 0;
  return Math.min(1, (at.epoch - 1 + (at.steps ? at.step / at.steps : at.stage ? 0 : 1)) / at.epochs);
}

/**
 * The best epoch and the name and value of the metric that it was chosen by; without validation data, of its test metric.
 * @param {Job} job
 */
export function bestOf(job) {
  const best = job.best ?? {};
  const metric = job.objective?.metric ?? "";
  const name = [metric, metric.replace("validation_", "test_")].find((n) => n in best);
  return name ? { name, value: best[name], epoch: best.epoch } : null;
}

/**
 * Apply an event to its job. Returns whether the job has to be fetched again, since events do not hold all that changed.
 * @param {Job} job
 * @param {JobEvent} event
 */
export function apply(job, { kind, data }) {
  if (kind === "step") {
    job.progress = data;
  } else if (kind === "status") {
    job.status = data.status;
    job.status_reason = data.reason;
    job.attempt = data.attempt;
    return true;
  } else if (kind === "preempted") {
    job.status_reason = data.reason;
    return true;
  } else if (kind === "epoch") {
    const steps = job.progress?.steps ?? 0;
    const epochs = job.spec.epochs ?? 1;
    const left = (epochs - data.epoch) * data.seconds;
    job.progress = { epoch: data.epoch, epochs, step: steps, steps, eta_seconds: left };
    job.metrics = data.metrics;
    if (isBetter(job, data.metrics)) job.best = { epoch: data.epoch, ...data.metrics };
  }
  return false;
}

/**
 * Whether the API would choose these metrics over the best ones so far.
 * @param {Job} job
 * @param {Metrics} metrics
 */
function isBetter({ best, objective }, metrics) {
  if (!best || !objective || !(objective.metric in metrics && objective.metric in best)) return true;
  const gain = metrics[objective.metric] - best[objective.metric];
  return objective.direction === "max" ? gain > 0 : gain < 0;
}
