/** Shows one job, live: stored data is read once, then each event after it updates the page. */
import { startAfter } from "../lib/charts.js";
import { announce, batched, el, fill } from "../lib/dom.js";
import { get, Problem } from "../lib/http.js";
import { apply, ENDED, isComposite, title } from "../lib/jobs.js";
import { follow } from "../lib/live.js";
import { isId } from "../lib/router.js";
import { showInTab } from "../lib/tab.js";
import { About } from "./about.js";
import { Alphas } from "./alphas.js";
import { Attempts } from "./attempts.js";
import { Cell } from "./cell.js";
import { Curves } from "./curves.js";
import { Diagnostics } from "./diagnostics.js";
import { Header } from "./header.js";
import { Lineage } from "./lineage.js";
import { Logs } from "./logs.js";
import { QueuePlace } from "./queue.js";
import { Rail } from "./rail.js";
import { Spec } from "./spec.js";

/**
 * Sections of single kinds, imported when a job of the kind is shown: most jobs that people open are searches.
 * @typedef {(state: JobState, signal: AbortSignal) => Promise<Section[]>} MakeSections
 * @type {Partial<Record<Kind, MakeSections>>}
 */
const OTHERS = {
  evaluation: async (...of) => [new (await import("./kinds/checkpoints.js")).Checkpoints(...of)],
  score: async () => [new (await import("./kinds/score.js")).Score()],
  ensemble: async () => [new (await import("./kinds/ensemble.js")).Ensemble()],
  study: composite,
  committee: composite,
};

/** @type {MakeSections} */
async function composite(...of) {
  const [{ Composite }, { Children }] = await Promise.all([import("./kinds/composite.js"), import("./kinds/children.js")]);
  return [new Composite(), new Children(...of)];
}

/** @param {HTMLElement} main @param {Place} place @param {AbortSignal} signal */
export async function jobView(main, { parts: [, id] }, signal) {
  if (!isId(id)) throw new Problem(404, `${id} is not the id of a job: the link may be cut off or mistyped.`);
  const job = await get(`/jobs/${id}`, { signal });
  const base = job.links.self;
  /** @type {JobState} */
  const state = { job, epochs: [], logs: [], at: null };
  const known = new Set();
  /** @type {Section[]} */
  const sections = [];
  let streaming = false;
  const paint = batched(() => {
    showStatus();
    for (const section of sections) section.update(state);
    // A job that ended without an epoch has no cell and no curves.
    results.hidden = ENDED.has(state.job.status) && !state.job.metrics && !state.epochs.length;
    rail.update();
  }, signal);
  /** @type {SelectEpoch} */
  const select = (epoch) => {
    state.at = epoch === state.epochs.at(-1)?.epoch ? null : epoch;
    paint();
  };

  const search = job.kind === "search";
  const single = !isComposite(job);
  const others = (await OTHERS[job.kind]?.(state, signal)) ?? [];
  if (signal.aborted) return;
  const header = new Header(state, { changed: replaced, follow: live });
  const about = new About(state, replaced);
  const cell = search ? new Cell(state, signal, select) : null;
  if (cell && job.metrics) startAfter(cell.first.promise);
  const curves = search || job.kind === "evaluation" ? new Curves(signal, select) : null;
  const diagnostics = search ? new Diagnostics(signal, select) : null;
  const alphas = search ? new Alphas(state, signal, select) : null;
  const queue = single ? new QueuePlace(state, signal) : null;
  const attempts = single ? new Attempts(state, signal) : null;
  const logs = single ? new Logs(state) : null;
  const [lineage, spec] = [new Lineage(state, signal), new Spec()];
  const all = [header, about, queue, cell, curves, diagnostics, alphas, ...others, lineage, attempts, logs, spec];
  sections.push(...all.filter((section) => section !== null));
  const pictures = [cell, curves, diagnostics, alphas].flatMap((section) => section?.node ?? []);
  const results = el("div", { class: "stack" }, ...pictures);
  /** @type {[string, Section | null][]} */
  const named = [
    ["Cell", cell],
    ["Curves", curves],
    ["Diagnostics", diagnostics],
    ["Alphas", alphas],
    ...others.map((section) => /** @type {[string, Section]} */ ([section.node.querySelector("h2")?.textContent ?? "Result", section])),
    ["Lineage", lineage],
    ["Attempts", attempts],
    ["Log", logs],
    ["Spec", spec],
  ];
  const rail = new Rail(named.flatMap(([name, section]) => (section ? [[name, section.node]] : [])));
  const clock = setInterval(() => state.job.status === "running" && header.tick(), 1000);
  signal.addEventListener("abort", () => clearInterval(clock));
  const below = [...others, lineage, attempts, logs, spec].flatMap((section) => section?.node ?? []);
  fill(
    main,
    el("div", { class: "stack job" }, header.node, about.node, queue?.node ?? null, rail.node, pictures.length ? results : null, ...below),
  );
  paint();

  (await get(`${base}/epochs`, { signal })).items.forEach(add);
  paint();
  // The attempts and logs are further down the page.
  attempts?.refresh();
  state.logs = (await get(`${base}/logs?tail=500`, { signal })).items;
  paint();
  live();

  function showStatus() {
    showInTab(title(state.job), state.job.status);
  }

  function live() {
    if (streaming) return;
    streaming = true;
    follow(`${base}/events`, { after: state.job.last_sequence, onEvent: take, signal });
  }

  /** @param {JobEvent} event */
  function take(event) {
    const { kind, data, sequence } = event;
    state.job.last_sequence = Math.max(state.job.last_sequence, sequence);
    if (kind === "end") {
      streaming = false;
      return false;
    }
    if (kind === "epoch") add(data);
    if (kind === "log" && (state.logs.at(-1)?.sequence ?? 0) < sequence) {
      state.logs.push({ sequence, ...data });
      // The page shows the end of the log; /logs has all of it.
      if (state.logs.length > 1000) state.logs.splice(0, 500);
    }
    if (apply(state.job, event)) {
      // A hidden page is not painted; its tab and the notification tell the status.
      showStatus();
      header.update(state);
      announce(`${title(state.job)} is ${state.job.status}`);
      refresh();
    }
    // A composite job's progress is the number of its children that have ended.
    if (kind === "child" && ENDED.has(data.status)) refresh();
    for (const section of others) section.take?.(event);
    paint();
    return true;
  }

  /** @param {Epoch} epoch */
  function add(epoch) {
    if (known.has(epoch.epoch)) return;
    known.add(epoch.epoch);
    state.epochs.push(epoch);
    state.epochs.sort((a, b) => a.epoch - b.epoch);
  }

  /** Fetch the job after a change of status: the event lacks times, worker, error and attempts. */
  async function refresh() {
    try {
      replaced(await get(base, { signal }));
      attempts?.refresh();
    } catch {
      // The service is away: the next change of status refreshes again.
    }
  }

  /** @param {Job} newer */
  function replaced(newer) {
    // The stream continues after its own last event, which may be older than this answer.
    const { last_sequence } = state.job;
    if (newer.last_sequence >= last_sequence) state.job = { ...newer, last_sequence };
    paint();
  }
}
