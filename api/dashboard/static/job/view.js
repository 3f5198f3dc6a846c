import { startAfter } from "../lib/charts.js";
import { batched, el, fill, say } from "../lib/dom.js";
import { get } from "../lib/http.js";
import { apply, isTree, title } from "../lib/jobs.js";
import { follow } from "../lib/live.js";
import { Alphas } from "./alphas.js";
import { Attempts } from "./attempts.js";
import { Cell } from "./cell.js";
import { Curves } from "./curves.js";
import { Decided } from "./decided.js";
import { Header } from "./header.js";
import { Logs } from "./logs.js";
import { Spec } from "./spec.js";

// Most jobs that are looked at are searches: what only the other kinds show is fetched with the first of them.
const OTHERS = {
  evaluation: async (...of) => [new (await import("./kinds/checkpoints.js")).Checkpoints(...of)],
  score: async () => [new (await import("./kinds/result.js")).Result()],
  ensemble: async () => [new (await import("./kinds/committee.js")).Committee()],
  study: trees,
  committee: trees,
};

async function trees(...of) {
  const [{ Outcome }, { Tree }] = await Promise.all([import("./kinds/outcome.js"), import("./kinds/tree.js")]);
  return [new Outcome(), new Tree(...of)];
}

/**
 * One job, live. What is stored is read once; from there on events alone change it, each behind the last one seen.
 * state: the job, its epochs in order, its log lines, the epoch that is looked at (null: the latest).
 */
export async function jobView(main, { parts: [, id] }, signal) {
  const job = await get(`/jobs/${encodeURIComponent(id)}`, { signal });
  const base = job.links.self;
  const state = { job, epochs: [], logs: [], at: null };
  const known = new Set();
  const sections = [];
  let streaming = false;
  const paint = batched(() => {
    document.title = `${title(state.job)} · Dartboard`;
    for (const section of sections) section.update(state);
  }, signal);
  const look = (epoch) => {
    state.at = epoch === state.epochs.at(-1)?.epoch ? null : epoch;
    paint();
  };

  const search = job.kind === "search";
  const tree = isTree(job);
  const others = (await OTHERS[job.kind]?.(state, signal)) ?? [];
  if (signal.aborted) return;
  const header = new Header(state, signal, { changed: replaced, follow: live });
  const cell = search ? new Cell(state, signal, look) : null;
  if (cell && job.metrics) startAfter(cell.shown);
  const curves = search || job.kind === "evaluation" ? new Curves(signal, look) : null;
  const decided = search ? new Decided(signal, look) : null;
  const alphas = search ? new Alphas(state, signal, look) : null;
  const attempts = tree ? null : new Attempts(state, signal);
  const logs = tree ? null : new Logs();
  const all = [header, cell, curves, decided, alphas, ...others, attempts, logs, new Spec()];
  sections.push(...all.filter(Boolean));
  fill(main, el("div", { class: "stack" }, ...sections.map(({ node }) => node)));
  paint();

  (await get(`${base}/epochs`, { signal })).items.forEach(add);
  paint();
  // These stand further down.
  attempts?.refresh();
  state.logs = (await get(`${base}/logs?tail=500`, { signal })).items;
  paint();
  live();

  function live() {
    if (streaming) return;
    streaming = true;
    follow(`${base}/events`, { after: state.job.last_sequence, onEvent: take, signal });
  }

  function take(kind, data, sequence) {
    state.job.last_sequence = Math.max(state.job.last_sequence, Number(sequence));
    if (kind === "end") {
      streaming = false;
      return false;
    }
    if (kind === "epoch") add(data);
    if (kind === "log" && (state.logs.at(-1)?.sequence ?? 0) < Number(sequence)) {
      state.logs.push({ sequence: Number(sequence), ...data });
      // The page shows the end of the log; the whole of it is at /logs.
      if (state.logs.length > 1000) state.logs.splice(0, 500);
    }
    if (apply(state.job, kind, data)) {
      say(`${title(state.job)} is ${data.status}`);
      refresh();
    }
    for (const section of others) section.take?.(kind, data);
    paint();
    return true;
  }

  function add(epoch) {
    if (known.has(epoch.epoch)) return;
    known.add(epoch.epoch);
    state.epochs.push(epoch);
    state.epochs.sort((a, b) => a.epoch - b.epoch);
  }

  /** After a change of status: times, worker, error and attempts are not in the event. */
  async function refresh() {
    try {
      replaced(await get(base, { signal }));
      attempts?.refresh();
    } catch {
      // Away: the stream comes back, and its next event asks again.
    }
  }

  function replaced(newer) {
    // The stream goes on behind what it has brought itself, not behind what this answer knows.
    const { last_sequence } = state.job;
    if (newer.last_sequence >= last_sequence) state.job = { ...newer, last_sequence };
    paint();
  }
}
