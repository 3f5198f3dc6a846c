/** What the service answered with when it refused: `errors` names the fields. */
export class Problem extends Error {
  constructor(status, detail, errors = []) {
    super(detail);
    this.status = status;
    this.errors = errors;
  }
}

const expired = new Set();

/** Be told when the service wants a key that the page does not have. */
export function onExpired(listener) {
  expired.add(listener);
}

const early = new Map();

/** Ask for this before whoever wants it is there: the first `get` of the same path has the answer. */
export function ahead(path) {
  early.set(path, fetch(path, { headers: { Accept: "application/json" } }).catch(() => null));
}

export function get(path, options = {}) {
  return send("GET", path, options);
}

export function post(path, body = null, options = {}) {
  return send("POST", path, { ...options, body });
}

/** A request; its JSON, or null for an answer without a body. Throws Problem, or TypeError when nobody answers. */
export async function send(method, path, { body = null, headers = {}, signal = null } = {}) {
  const options = { method, headers: { Accept: "application/json", ...headers }, signal };
  if (body !== null) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const known = await taken(method, path);
  const answer = known?.ok ? known : await fetch(path, options);
  const content = await answer.text();
  if (answer.ok) return content ? JSON.parse(content) : null;
  const problem = problemOf(answer.status, content);
  if (answer.status === 401 && path !== "/session") expired.forEach((listener) => listener());
  throw problem;
}

function taken(method, path) {
  if (method !== "GET") return null;
  const answer = early.get(path);
  early.delete(path);
  return answer;
}

/** A problem document, or what stands in its place when something between here and the service answered. */
export function problemOf(status, content) {
  try {
    const { detail, errors } = JSON.parse(content);
    return new Problem(status, detail, errors ?? []);
  } catch {
    return new Problem(status, `the service answered ${status}`);
  }
}

/** Every page of a list up to `most` items. */
export async function page(path, filters, { cursor = null, limit = 100, signal = null } = {}) {
  const query = new URLSearchParams({ limit });
  for (const [name, value] of Object.entries({ ...filters, cursor })) if (value) query.set(name, value);
  return get(`${path}?${query}`, { signal });
}

/** Words for a person, of whatever went wrong. */
export function wordsFor(error) {
  if (error instanceof TypeError) return "The service does not answer. What is shown may be old.";
  return error.message;
}
