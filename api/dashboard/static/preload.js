/** Fetches the modules of views before they are imported. index.html starts it for the view of the page's address. */
import { meta } from "./lib/dom.js";
import { prefetch } from "./lib/http.js";
import { currentPlace, isId, viewOf } from "./lib/router.js";

const base = new URL(".", import.meta.url).href;
const all = meta("modules").split(" ");
const added = new Set();

const first = currentPlace();
if (viewOf(first) === "job" && isId(first.parts[1])) prefetch(`/jobs/${encodeURIComponent(first.parts[1])}`);
preload(viewOf(first));

/**
 * Fetch all modules of a view at once, without those in folders below its own.
 * @param {string} view
 */
export function preload(view) {
  for (const name of all) if (name === `${view}.js` || name.slice(0, name.lastIndexOf("/")) === view) add(name);
}

/** Fetch the modules of all views when the page is idle: later changes of view then need no server. */
export function preloadAll() {
  const idle = window.requestIdleCallback ?? setTimeout;
  addEventListener("load", () => setTimeout(() => idle(() => all.forEach(add)), 10_000));
}

/** @param {string} name */
function add(name) {
  if (added.has(name)) return;
  added.add(name);
  document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href: base + name }));
}
