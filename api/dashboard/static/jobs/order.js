/** Sorts, filters and searches the list of jobs. */
import { bestOf, share, title } from "../lib/jobs.js";

const STATUSES = ["running", "pausing", "queued", "paused", "failed", "cancelled", "succeeded"];

/** The sort keys. @type {Record<string, (job: Job) => number | string>} */
export const KEYS = {
  status: (job) => STATUSES.indexOf(job.status),
  name: (job) => title(job).toLowerCase(),
  progress: share,
  best: (job) => bestOf(job)?.value ?? -Infinity,
  created: (job) => Date.parse(job.created_at),
};

/**
 * Sorted copies of the jobs; those with equal keys newest first, as ids sort by time.
 * @param {Job[]} jobs
 * @param {string} by a key of KEYS, otherwise "created"
 * @param {boolean} descending
 */
export function sorted(jobs, by, descending) {
  const key = KEYS[by] ?? KEYS.created;
  /** @param {Job} a @param {Job} b */
  const compared = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
  return [...jobs].sort((a, b) => (descending ? -compared(a, b) : compared(a, b)) || (a.id < b.id ? 1 : -1));
}

/**
 * Whether the API's filters let a job through. A label is `key` or `key=value`.
 * @param {Pick<Job, "kind" | "status" | "labels">} job
 * @param {{ kind?: string | null, status?: string | null, label?: string | null }} filters
 */
export function wanted(job, { kind, status, label }) {
  if (kind && job.kind !== kind) return false;
  if (status && job.status !== status) return false;
  if (!label) return true;
  const [key, ...rest] = label.split("=");
  return rest.length ? job.labels[key] === rest.join("=") : key in job.labels;
}

/**
 * Whether a job's name, id, data set, worker, owner and labels contain every word of the search.
 * @param {Job} job
 * @param {string} search
 */
export function found(job, search) {
  const labels = Object.entries(job.labels).map(([key, value]) => `${key}=${value}`);
  const hay = [title(job), job.id, job.kind, job.spec.dataset, job.spec.family, job.worker, job.owner, ...labels];
  const text = hay.filter(Boolean).join(" ").toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
