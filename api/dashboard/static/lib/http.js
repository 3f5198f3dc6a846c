/** Sends requests to the API and turns its problem documents into errors. */

/** The API refused a request. `errors` names the fields. */
export class Problem extends Error {
  /** @param {number} status @param {string} detail @param {FieldProblem[]} errors */
  constructor(status, detail, errors = []) {
    super(detail);
    this.status = status;
    this.errors = errors;
  }
}

/** @type {Set<() => void>} */
const expired = new Set();

/**
 * Call `listener` when the API wants a key that the page does not have.
 * @param {() => void} listener
 */
export function onExpired(listener) {
  expired.add(listener);
}

/** @type {Map<string, Promise<Response | null>>} */
const early = new Map();

/**
 * Send a GET before its view has loaded; the first `get` of the same path takes the answer.
 * @param {string} path
 */
export function prefetch(path) {
  early.set(
    path,
    fetch(path, { headers: { Accept: "application/json" } }).catch(() => null),
  );
}

/**
 * @template {string} Path
 * @param {Path} path
 * @param {{ signal?: AbortSignal }} [options]
 */
export function get(path, options = {}) {
  return /** @type {Promise<Answer<Path>>} */ (send("GET", path, options));
}

/**
 * Submit or control a job.
 * @param {string} path
 * @param {object | null} body
 * @param {{ headers?: Record<string, string> }} [options]
 */
export function post(path, body = null, options = {}) {
  return /** @type {Promise<Job>} */ (send("POST", path, { ...options, body }));
}

/**
 * Send a request. Returns its JSON, or null for an answer without a body. Throws Problem, or TypeError when the service
 * cannot be reached.
 * @param {string} method
 * @param {string} path
 * @param {{ body?: object | null, headers?: Record<string, string>, signal?: AbortSignal }} [options]
 * @returns {Promise<unknown>}
 */
export async function send(method, path, { body = null, headers = {}, signal } = {}) {
  /** @type {RequestInit} */
  const options = { method, headers: { Accept: "application/json", ...headers }, signal };
  if (body !== null) {
    options.body = JSON.stringify(body);
    options.headers = { ...options.headers, "Content-Type": "application/json" };
  }
  const prefetched = method === "GET" ? await takePrefetched(path) : null;
  const answer = prefetched?.ok ? prefetched : await fetch(path, options);
  const content = await answer.text();
  if (answer.ok) return content ? JSON.parse(content) : null;
  if (answer.status === 401 && path !== "/session") for (const listener of expired) listener();
  throw problemOf(answer.status, content);
}

/** @param {string} path */
function takePrefetched(path) {
  const answer = early.get(path);
  early.delete(path);
  return answer;
}

/**
 * The problem document of an answer; without one, as from a proxy, a problem that names the status.
 * @param {number} status
 * @param {string} content
 */
export function problemOf(status, content) {
  try {
    const { detail, errors } = JSON.parse(content);
    return new Problem(status, detail, errors);
  } catch {
    return new Problem(status, `the service answered ${status}`);
  }
}

/**
 * One page of a list.
 * @template {Collection | "/checkpoints"} Path
 * @param {Path} path
 * @param {Record<string, string | null | undefined>} filters
 * @param {{ cursor?: string | null, limit?: number, signal?: AbortSignal }} [options]
 */
export function page(path, filters, { cursor = null, limit = 100, signal } = {}) {
  const query = new URLSearchParams({ limit: String(limit) });
  for (const [name, value] of Object.entries({ ...filters, cursor })) if (value) query.set(name, value);
  return get(`${path}?${query}`, { signal });
}

/**
 * Whether a request failed since the service, or the database behind it, cannot be reached.
 * @param {unknown} error
 */
export function isAway(error) {
  return error instanceof TypeError || (error instanceof Problem && [502, 503, 504].includes(error.status));
}

/**
 * An error's message for people.
 * @param {unknown} error
 */
export function wordsFor(error) {
  if (error instanceof TypeError) return "The service cannot be reached. The page may show old data.";
  return error instanceof Error ? error.message : String(error);
}
