import { el, fill, scrolling } from "./lib/dom.js";
import { ago, bytes, clock } from "./lib/format.js";
import { get, wordsFor } from "./lib/http.js";

const EVERY_MS = 5000;

/** Every worker that ever showed itself: heartbeats are no events, so they are looked at every few seconds. */
export function workersView(main, at, signal) {
  const body = el("tbody");
  const about = el("p", { class: "muted" }, "Loading…");
  const heads = ["Worker", "State", "Device", "Memory", "Utilisation", "Pools", "GPUs", "Runs", "Last heartbeat", "Version"];
  fill(
    main,
    el("div", { class: "head" }, el("div", {}, el("h1", {}, "Workers"), about)),
    scrolling(
      "All workers",
      el("table", { class: "cards" }, el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))), body),
    ),
  );
  let timer = null;
  look();
  document.addEventListener("visibilitychange", () => !document.hidden && look(), { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));

  async function look() {
    clearTimeout(timer);
    try {
      const { items } = await get("/workers", { signal });
      const alive = items.filter((worker) => worker.alive).length;
      about.textContent = items.length ? `${alive} alive of ${items.length}` : "No worker has shown itself yet.";
      items.sort((a, b) => b.alive - a.alive || Date.parse(b.last_seen) - Date.parse(a.last_seen));
      fill(body, ...items.map(row));
    } catch (error) {
      if (signal.aborted) return;
      about.textContent = wordsFor(error);
    }
    if (!document.hidden && !signal.aborted) timer = setTimeout(look, EVERY_MS);
  }
}

function row({ name, pools, gpus, device, version, last_seen: seen, alive, load, job_id: job }) {
  const state = !alive ? "away" : job ? "running" : "idle";
  const runs = job ? el("a", { href: `#/jobs/${job}` }, job.slice(-8)) : "–";
  const mark = { away: "cancelled", idle: "queued", running: "running" }[state];
  const cells = [
    [null, el("strong", {}, name)],
    [null, el("span", { class: `status ${mark}` }, state)],
    ["Device", device],
    ["Memory", each(alive ? load : [], memory)],
    ["Utilisation", each(alive ? load : [], utilisation)],
    ["Pools", pools.join(", ")],
    ["GPUs", String(gpus)],
    ["Runs", runs],
    ["Last heartbeat", el("time", { datetime: seen, title: clock(seen) }, ago(seen))],
    ["Version", version],
  ];
  return el("tr", {}, ...cells.map(([label, content]) => el("td", { "data-label": label }, content)));
}

/** One line a device; what a worker that is away said last is not so any more. */
function each(load, line) {
  return load.length ? el("div", { class: "loads" }, ...load.map((device) => line(device, load.length > 1 ? `${device.name} ` : ""))) : "–";
}

function memory({ memory_used: used, memory_total: total }, name) {
  return gauge(name, `${bytes(used)} of ${bytes(total)}`, used / total, "memory used");
}

function utilisation({ utilisation: percent }, name) {
  return percent === null ? el("span", { class: "muted" }, `${name}not told`) : gauge(name, `${Math.round(percent)} %`, percent / 100, "utilisation");
}

function gauge(name, said, value, label) {
  return el("div", {}, el("span", { class: "small" }, name, said), el("progress", { max: 1, value, "aria-label": `${name}${label}` }));
}
