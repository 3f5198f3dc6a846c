/** Shows what the job's result was made of and what was made of it, as links. */
import { el, fill } from "../lib/dom.js";
import { shortId } from "../lib/format.js";
import { get } from "../lib/http.js";

export class Lineage {
  /** @param {JobState} state @param {AbortSignal} signal */
  constructor({ job }, signal) {
    this.id = job.id;
    this.signal = signal;
    this.status = "";
    this.content = el("div", { class: "columns" });
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Lineage")), this.content);
  }

  /** @param {JobState} state */
  update({ job }) {
    if (this.status === job.status) return;
    this.status = job.status;
    this.refresh();
  }

  async refresh() {
    const graph = await get(`/lineage/${this.id}`, { signal: this.signal }).catch(() => null);
    if (graph === null) return; // the lists stay as they are
    const { nodes, edges } = graph;
    const above = reached(this.id, edges, ({ origin, result }) => [result, origin]);
    const below = reached(this.id, edges, ({ origin, result }) => [origin, result]);
    fill(
      this.content,
      listed(
        "Made from",
        nodes.filter(({ id }) => above.has(id)),
        "Nothing but its spec.",
      ),
      listed(
        "Used by",
        nodes.filter(({ id }) => below.has(id)),
        "Nothing so far.",
      ),
    );
  }
}

/**
 * All nodes that the edges lead to, one after another.
 * @param {string} start
 * @param {LineageEdge[]} edges
 * @param {(edge: LineageEdge) => [string, string]} ends where an edge begins and where it leads
 */
export function reached(start, edges, ends) {
  /** @type {Set<string>} */
  const found = new Set();
  let fresh = [start];
  while (fresh.length) {
    const from = new Set(fresh);
    const next = edges.map(ends).flatMap(([begin, end]) => (from.has(begin) && !found.has(end) && end !== start ? [end] : []));
    fresh = [...new Set(next)];
    for (const id of fresh) found.add(id);
  }
  return found;
}

/** @param {string} heading @param {LineageNode[]} nodes @param {string} none */
function listed(heading, nodes, none) {
  const shown = nodes.filter(({ type }) => ["dataset", "job", "model"].includes(type));
  shown.sort((a, b) => (a.created_at ?? "").localeCompare(b.created_at ?? ""));
  const list = shown.length ? el("ul", { class: "plain-list" }, ...shown.map(line)) : el("p", { class: "muted" }, none);
  return el("div", {}, el("h3", {}, heading), list);
}

/** @param {LineageNode} node */
function line({ id, type, kind, name, status, exists }) {
  const what = type === "job" ? kind : type === "dataset" ? "data set" : type;
  const label = name ?? shortId(id);
  const to = type === "job" ? `#/jobs/${id}` : type === "dataset" ? "#/datasets" : null;
  const linked = to && exists ? el("a", { href: to }, label) : el("span", {}, exists ? label : `${label} (deleted)`);
  return el(
    "li",
    { class: "row" },
    el("span", { class: "tag" }, what),
    linked,
    status ? el("span", { class: `status ${status} small` }, status) : null,
  );
}
