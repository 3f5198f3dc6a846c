/** The columns of the list of jobs: what each one shows, and by what the service sorts it. */
import { clock, duration, metric, secondsBetween, whole } from "../lib/format.js";
import { title } from "../lib/jobs.js";

/**
 * A metric of the best epoch, otherwise of the latest, as the service sorts by.
 * @param {Job} job
 * @param {string} name
 */
export function metricOf(job, name) {
  return job.best?.[name] ?? job.metrics?.[name];
}

/**
 * A column of a metric; of one kind's jobs alone where its meaning differs between kinds.
 * @param {string} label
 * @param {string} name
 * @param {{ kind?: Kind, falling?: boolean }} [options] falling: the lower, the better
 * @returns {Column}
 */
function measured(label, name, { kind, falling = false } = {}) {
  return {
    label,
    number: true,
    sort: `${falling ? "" : "-"}${kind ? `${kind}.` : ""}${name}`,
    text: (job) => (kind && job.kind !== kind ? "" : shown(name, metricOf(job, name))),
    raw: (job) => (kind && job.kind !== kind ? undefined : metricOf(job, name)),
  };
}

/** @param {string} name @param {number | undefined} value */
function shown(name, value) {
  return value === undefined ? "" : metric(name, value);
}

/** @param {number | null | undefined} count */
function counted(count) {
  return count === null || count === undefined ? "" : whole(count);
}

/** By name; `sort` is the order of the first click. @type {Record<string, Column>} */
export const COLUMNS = {
  status: { label: "Status", text: (job) => job.status },
  name: { label: "Job", sort: "name", text: title },
  progress: { label: "Progress", text: (job) => (job.progress ? `${job.progress.epoch} / ${job.progress.epochs}` : "") },
  search_validation: measured("Search validation", "validation_accuracy", { kind: "search" }),
  evaluation_validation: measured("Retraining validation", "validation_accuracy", { kind: "evaluation" }),
  test: measured("Test", "test_accuracy"),
  search_perplexity: measured("Search perplexity", "validation_perplexity", { kind: "search", falling: true }),
  evaluation_perplexity: measured("Retraining perplexity", "validation_perplexity", { kind: "evaluation", falling: true }),
  test_perplexity: measured("Test perplexity", "test_perplexity", { falling: true }),
  parameters: {
    label: "Parameters",
    number: true,
    sort: "parameters",
    text: (job) => counted(job.parameters),
    raw: (job) => job.parameters,
  },
  multiply_adds: {
    label: "Multiply-adds",
    number: true,
    sort: "multiply_adds",
    text: (job) => counted(job.multiply_adds),
    raw: (job) => job.multiply_adds,
  },
  method: { label: "Method", text: (job) => String(job.spec.method ?? "") },
  space: { label: "Space", text: (job) => String(job.spec.space ?? "") },
  seed: { label: "Seed", number: true, text: (job) => String(job.spec.seed ?? "") },
  duration: {
    label: "Duration",
    number: true,
    text: (job) => (job.started_at ? duration(secondsBetween(job.started_at, job.finished_at)) : ""),
    raw: (job) => (job.started_at ? Math.round(secondsBetween(job.started_at, job.finished_at)) : undefined),
  },
  owner: { label: "Owner", text: (job) => job.owner ?? "" },
  project: { label: "Project", text: (job) => job.project ?? "" },
  created: { label: "Created", sort: "-created_at", text: (job) => clock(job.created_at), raw: (job) => job.created_at },
};

const FIRST = ["status", "name", "progress", "search_validation", "evaluation_validation", "test", "parameters", "created"];

/**
 * The columns that the address names, otherwise the first ones.
 * @param {URLSearchParams} query
 */
export function chosenColumns(query) {
  const named = (query.get("columns") ?? "").split(",").filter((name) => Object.hasOwn(COLUMNS, name));
  return named.length ? named : FIRST;
}

/**
 * A value of `columns` in the address; empty for the first ones.
 * @param {string[]} names
 */
export function asColumns(names) {
  const ordered = Object.keys(COLUMNS).filter((name) => names.includes(name));
  return ordered.join() === FIRST.join() ? "" : ordered.join();
}

/**
 * The order after a click on the head of a column: its own, and back and forth from there.
 * @param {string} sort
 * @param {string} now
 */
export function nextOrder(sort, now) {
  return now === sort ? reversed(sort) : sort;
}

/**
 * How a column is sorted, as `aria-sort` has it; null if by another.
 * @param {Column} column
 * @param {string} now
 */
export function direction({ sort }, now) {
  if (!sort || ![sort, reversed(sort)].includes(now)) return null;
  return now.startsWith("-") ? "descending" : "ascending";
}

/** @param {string} sort */
function reversed(sort) {
  return sort.startsWith("-") ? sort.slice(1) : `-${sort}`;
}

/**
 * The jobs as CSV, with a column for the id; numbers without units, durations in seconds.
 * @param {Job[]} jobs
 * @param {string[]} names
 */
export function csvOf(jobs, names) {
  const heads = ["id", ...names.map((name) => COLUMNS[name].label)];
  const lines = jobs.map((job) => [job.id, ...names.map((name) => contentOf(COLUMNS[name], job))]);
  return [heads, ...lines].map((line) => line.map(quoted).join(",")).join("\r\n");
}

/** @param {Column} column @param {Job} job */
function contentOf({ raw, text }, job) {
  return raw ? String(raw(job) ?? "") : text(job);
}

/**
 * A cell of CSV. What a spreadsheet would take for a formula is marked as text.
 * @param {string} text
 */
function quoted(text) {
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
