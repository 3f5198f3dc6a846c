/** Finds the places of queued jobs: workers of a pool take them in the order of `GET /queue`. */
import { shortId } from "./format.js";
import { get } from "./http.js";

/** How many jobs of a queue are asked for. */
export const MOST = 100;

/**
 * The pool and number of GPUs that a job waits for, as one text.
 * @param {Job} job
 */
export function slotOf({ pool, gpus }) {
  return `pool=${pool}&gpus=${gpus}`;
}

/**
 * @param {string} slot
 * @param {AbortSignal} signal
 * @returns {Promise<Queue>}
 */
export function queueOf(slot, signal) {
  return get(`/queue?${slot}&limit=${MOST}`, { signal });
}

/** @param {JobOfQueue} job */
export function nameOf({ name, kind, id }) {
  return name ?? `${kind} ${shortId(id)}`;
}

/**
 * The job's place from 1 on and the jobs before it; null if it is behind the first ones or does not wait for a turn.
 * @param {Queue} queue
 * @param {string} id
 */
export function placeIn({ queued }, id) {
  const at = queued.findIndex((job) => job.id === id);
  return at < 0 ? null : { place: at + 1, before: queued.slice(0, at) };
}
