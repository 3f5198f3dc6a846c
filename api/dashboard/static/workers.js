/** Shows all workers. Heartbeats are not events, so the list is fetched every few seconds. */
import { el, fill, scrolling, table } from "./lib/dom.js";
import { ago, bytes, clock, shortId } from "./lib/format.js";
import { get, wordsFor } from "./lib/http.js";

const EVERY_MS = 5000;
const HEADS = ["Worker", "State", "Device", "Memory", "Utilisation", "Pools", "GPUs", "Running", "Last heartbeat", "Version"];

/** @type {View} */
export function workersView(main, _, signal) {
  const body = el("tbody");
  const about = el("p", { class: "muted" }, "Loading…");
  fill(
    main,
    el("div", { class: "head" }, el("div", {}, el("h1", {}, "Workers"), about)),
    scrolling("All workers", table(HEADS, body, { class: "cards" })),
  );
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  load();
  document.addEventListener("visibilitychange", () => !document.hidden && load(), { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));

  async function load() {
    clearTimeout(timer);
    try {
      const { items } = await get("/workers", { signal });
      const alive = items.filter((worker) => worker.alive).length;
      about.textContent = items.length ? `${alive} alive of ${items.length}` : "No worker has registered yet.";
      items.sort((a, b) => Number(b.alive) - Number(a.alive) || Date.parse(b.last_seen) - Date.parse(a.last_seen));
      fill(body, ...items.map(row));
    } catch (error) {
      if (signal.aborted) return;
      about.textContent = wordsFor(error);
    }
    if (!document.hidden && !signal.aborted) timer = setTimeout(load, EVERY_MS);
  }
}

/** @param {WorkerInfo} worker */
function row({ name, pools, gpus, device, version, last_seen: seen, alive, load, job_id: job }) {
  const [state, mark] = !alive ? ["away", "cancelled"] : job ? ["running", "running"] : ["idle", "queued"];
  // The last report of a worker that is away no longer holds.
  const devices = alive ? load : [];
  /** @type {[string | null, Child][]} */
  const cells = [
    [null, el("strong", {}, name)],
    [null, el("span", { class: `status ${mark}` }, state)],
    ["Device", device],
    ["Memory", each(devices, memory)],
    ["Utilisation", each(devices, utilisation)],
    ["Pools", pools.join(", ")],
    ["GPUs", String(gpus)],
    ["Running", job ? el("a", { href: `#/jobs/${job}` }, shortId(job)) : "–"],
    ["Last heartbeat", el("time", { datetime: seen, title: clock(seen) }, ago(seen))],
    ["Version", version],
  ];
  return el("tr", {}, ...cells.map(([label, content]) => el("td", { "data-label": label }, content)));
}

/**
 * A line per device, with the device's name when there are several.
 * @param {Device[]} devices
 * @param {(device: Device, name: string) => Node} line
 */
function each(devices, line) {
  if (!devices.length) return "–";
  return el("div", { class: "loads" }, ...devices.map((device) => line(device, devices.length > 1 ? `${device.name} ` : "")));
}

/** @param {Device} device @param {string} name */
function memory({ memory_used: used, memory_total: total }, name) {
  return gauge(name, `${bytes(used)} of ${bytes(total)}`, used / total, "memory used");
}

/** @param {Device} device @param {string} name */
function utilisation({ utilisation: percent }, name) {
  if (percent === null || percent === undefined) return el("span", { class: "muted" }, `${name}not reported`);
  return gauge(name, `${Math.round(percent)} %`, percent / 100, "utilisation");
}

/** @param {string} name @param {string} reading @param {number} value @param {string} label */
function gauge(name, reading, value, label) {
  return el("div", {}, el("span", { class: "small" }, name, reading), el("progress", { max: 1, value, "aria-label": `${name}${label}` }));
}
