/** Where the page is: `#/jobs/ID?epoch=3` gives { parts: ["jobs", ID], query }. */
export function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query ?? "") };
}

/** The name of a place's view, where it is one; a job by itself is a view of its own. */
export function viewOf({ parts }) {
  return parts[0] === "jobs" && parts[1] ? "job" : parts[0] ?? "jobs";
}

/** Write filters into the address without leaving the view. */
export function remember(query) {
  const [path] = location.hash.split("?");
  const kept = new URLSearchParams([...query].filter(([, value]) => value));
  history.replaceState(null, "", kept.size ? `${path}?${kept}` : path || "#/jobs");
}

/** Show the view for every place; each lives until its signal aborts. Returns what shows it again, and what ends it. */
export function route(show) {
  let leaving = new AbortController();
  const go = () => {
    // A link to a part of the page is no place.
    if (location.hash && !location.hash.startsWith("#/")) return;
    leaving.abort();
    leaving = new AbortController();
    show(place(), leaving.signal);
  };
  addEventListener("hashchange", go);
  go();
  return { again: go, leave: () => leaving.abort() };
}
