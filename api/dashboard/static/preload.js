import { ahead } from "./lib/http.js";
import { place, viewOf } from "./lib/router.js";

const base = new URL(".", import.meta.url).href;
const all = document.querySelector("meta[name=modules]").content.split(" ");
const added = new Set();

// The page starts this by itself: what its address asks for is on its way before the rest has come.
const first = place();
if (viewOf(first) === "job") ahead(`/jobs/${encodeURIComponent(first.parts[1])}`);
preload(viewOf(first));

/** Fetch a view's modules at once, not one after the other as they name each other; those in folders below come later. */
export function preload(view) {
  for (const name of all) if (name === `${view}.js` || name.slice(0, name.lastIndexOf("/")) === view) add(name);
}

/** Fetch those of all views when nothing else is to be done: they are there then, whatever becomes of the service. */
export function preloadAll() {
  const idle = window.requestIdleCallback ?? setTimeout;
  addEventListener("load", () => setTimeout(() => idle(() => all.forEach(add)), 10_000));
}

function add(name) {
  if (added.has(name)) return;
  added.add(name);
  document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href: base + name }));
}
