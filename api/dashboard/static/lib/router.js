/** Maps the address to views: `#/jobs/ID?epoch=3` is a place with parts ["jobs", ID] and a query. */

/** The form of a job's id. */
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** @param {string} text */
export function isId(text) {
  return ID.test(text);
}

/** @returns {Place} */
export function currentPlace() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query ?? "") };
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a lone % of a mistyped address
  }
}

/**
 * The name of a place's view. A single job has a view of its own.
 * @param {Pick<Place, "parts">} place
 */
export function viewOf({ parts }) {
  return parts[0] === "jobs" && parts[1] ? "job" : (parts[0] ?? "jobs");
}

/**
 * Write filters into the address without leaving the view.
 * @param {URLSearchParams} query
 */
export function remember(query) {
  // Without a hash the address is that of the first view.
  const [path] = (location.hash || "#/jobs").split("?");
  const kept = new URLSearchParams([...query].filter(([, value]) => value));
  history.replaceState(null, "", kept.size ? `${path}?${kept}` : path);
}

/**
 * Show the view of each place; leaving a place aborts its signal. Returns functions that show the view again and leave it.
 * @param {(place: Place, signal: AbortSignal) => void} show
 */
export function route(show) {
  let leaving = new AbortController();
  const go = () => {
    // A link within the page, as the one that skips to its content, is not a place.
    if (location.hash && !location.hash.startsWith("#/")) return;
    leaving.abort();
    leaving = new AbortController();
    show(currentPlace(), leaving.signal);
  };
  addEventListener("hashchange", go);
  go();
  return { again: go, leave: () => leaving.abort() };
}
