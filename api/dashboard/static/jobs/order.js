import { bestOf, share, title } from "../lib/jobs.js";

const STATUSES = ["running", "pausing", "queued", "paused", "failed", "cancelled", "succeeded"];

/** What the list can be sorted by: a job's key, compared as a number or a text. */
export const KEYS = {
  status: (job) => STATUSES.indexOf(job.status),
  name: (job) => title(job).toLowerCase(),
  progress: share,
  best: (job) => bestOf(job)?.value ?? -Infinity,
  made: (job) => Date.parse(job.created_at),
};

export function sorted(jobs, by, descending) {
  const key = KEYS[by] ?? KEYS.made;
  const compared = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
  // Among equals the newest first: ids sort by their time.
  return [...jobs].sort((a, b) => (descending ? -compared(a, b) : compared(a, b)) || (a.id < b.id ? 1 : -1));
}

/** Whether a job is among those that the filters ask for, as the service would say. */
export function wanted(job, { kind, status, label }) {
  if (kind && job.kind !== kind) return false;
  if (status && job.status !== status) return false;
  if (!label) return true;
  const [key, ...rest] = label.split("=");
  return rest.length ? job.labels[key] === rest.join("=") : key in job.labels;
}

/** Whether every word of the search is somewhere in the job's name, id, data set, worker or labels. */
export function found(job, search) {
  const labels = Object.entries(job.labels).map(([key, value]) => `${key}=${value}`);
  const hay = [title(job), job.id, job.kind, job.spec.dataset, job.spec.family, job.worker, job.owner, ...labels];
  const text = hay.filter(Boolean).join(" ").toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}
