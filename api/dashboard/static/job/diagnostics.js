/** Charts the signs of collapse: the entropy of the alphas, the skip connections of the derived cell, and warnings. */
import { cellsOf, entropy, layoutOf, skips } from "../lib/cells.js";
import { Chart, lines } from "../lib/charts.js";
import { el, fill } from "../lib/dom.js";
import { clock } from "../lib/format.js";
import { searchEpochs } from "./alphas.js";

export class Diagnostics {
  /** @param {AbortSignal} signal @param {SelectEpoch} select */
  constructor(signal, select) {
    const entropies = panel("Alpha entropy", "mean over the edges, in nats; 0 when every edge has one operation");
    const skipped = panel("Skip connections", "in the derived cell; many of them are a sign of collapse");
    this.warned = 0;
    this.drawn = "";
    this.warnings = el("ul", { class: "warnings", "aria-label": "Warnings", hidden: true });
    const panels = el("div", { class: "columns" }, entropies.node, skipped.node);
    this.node = el("section", { class: "stack", "aria-label": "Diagnostics", hidden: true }, this.warnings, panels);
    this.entropy = new Chart(entropies.chart, signal, select);
    this.skips = new Chart(skipped.chart, signal, select);
  }

  /** @param {JobState} state */
  update({ job, epochs, at: mark, logs }) {
    this.warn(logs.filter(({ level, message }) => level === "warning" && /^(collapse looms|guard):/.test(message)));
    const there = searchEpochs(epochs);
    this.node.hidden = !there.length;
    const drawn = `${there.length} ${mark}`;
    if (!there.length || this.drawn === drawn) return;
    this.drawn = drawn;
    const { primitives, nodes } = /** @type {SearchSpec} */ (job.spec);
    const layout = layoutOf(job.spec);
    const x = there.map(({ epoch }) => epoch);
    const last = x[x.length - 1];
    /** @param {(epoch: SearchEpoch, cell: string) => number} value */
    const each = (value) => cellsOf(layout).map((name, index) => ({ name, x, y: there.map((e) => value(e, name)), colour: index + 1 }));
    const range = [0, Math.log(primitives.length) * 1.05];
    this.entropy.draw(() =>
      lines({ series: each(({ strengths }, cell) => entropy(strengths[cell])), y: "nats", last, mark, extra: { range } }),
    );
    const counts = each(({ genotype }, cell) => skips(genotype, cell, layout)).map((one) => ({ ...one, step: true }));
    const extra = { range: [-0.2, 2.2 * nodes], tickformat: "d", dtick: nodes > 3 ? 2 : 1 };
    this.skips.draw(() => lines({ series: counts, y: "operations", last, mark, extra }));
  }

  /**
   * List the warnings of an approaching collapse, and the guard's actions.
   * @param {LogLine[]} warnings
   */
  warn(warnings) {
    if (this.warned === warnings.length) return;
    this.warned = warnings.length;
    this.warnings.hidden = !warnings.length;
    fill(this.warnings, ...warnings.map(({ time, message }) => el("li", {}, el("time", { datetime: time }, clock(time)), ` ${message}`)));
  }
}

/** @param {string} title @param {string} about */
function panel(title, about) {
  const chart = el("div", { class: "chart", role: "img", "aria-label": `${title} over the epochs, ${about}` });
  return { chart, node: el("div", { class: "panel" }, el("h2", {}, title), el("p", { class: "hint" }, about), chart) };
}
