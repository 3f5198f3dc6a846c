import { cellsOf, entropy, skips } from "../lib/cells.js";
import { Chart, lines } from "../lib/charts.js";
import { el, fill } from "../lib/dom.js";
import { clock } from "../lib/format.js";

/** How decided the search is: the alphas' entropy, and how many operations without parameters it chose. */
export class Decided {
  constructor(signal, look) {
    this.entropy = panel("Alpha entropy", "mean over the edges, in nats; 0 is decided");
    this.skips = panel("Skip connections", "in the derived cell; many of them are a sign of collapse");
    this.warnings = el("ul", { class: "warnings", "aria-label": "Warnings", hidden: true });
    const panels = el("div", { class: "columns" }, this.entropy.node, this.skips.node);
    this.node = el("section", { class: "stack", "aria-label": "How decided", hidden: true }, this.warnings, panels);
    this.charts = [this.entropy, this.skips].map(({ chart }) => new Chart(chart, signal, { onClick: look }));
  }

  update({ job, epochs, at, logs }) {
    this.warn(logs.filter(({ level, message }) => level === "warning" && message.startsWith("collapse looms")));
    const there = epochs.filter(({ alphas }) => alphas);
    this.node.hidden = !there.length;
    const drawn = `${there.length} ${at}`;
    if (!there.length || this.drawn === drawn) return;
    this.drawn = drawn;
    const family = job.spec.family;
    const x = there.map(({ epoch }) => epoch);
    const last = x.at(-1);
    const each = (value) => cellsOf(family).map((name, index) => ({ name, x, y: there.map((e) => value(e, name)), colour: index + 1 }));
    const most = Math.log(job.spec.primitives.length);
    this.charts[0].draw(() =>
      lines({ series: each(({ alphas }, cell) => entropy(alphas[cell])), y: "nats", last, mark: at, extra: { range: [0, most * 1.05] } }),
    );
    const counts = each(({ genotype }, cell) => skips(genotype, cell, family)).map((one) => ({ ...one, step: true }));
    this.charts[1].draw(() =>
      lines({ series: counts, y: "operations", last, mark: at, extra: { range: [-0.2, 2.2 * job.spec.nodes], tickformat: "d", dtick: job.spec.nodes > 3 ? 2 : 1 } }),
    );
  }

  /** Every time that the search came near to where searches collapse. */
  warn(lines) {
    if (this.warned === lines.length) return;
    this.warned = lines.length;
    this.warnings.hidden = !lines.length;
    fill(this.warnings, ...lines.map(({ time, message }) => el("li", {}, el("time", { datetime: time }, clock(time)), ` ${message}`)));
  }
}

function panel(title, about) {
  const chart = el("div", { class: "chart", role: "img", "aria-label": `${title} over the epochs, ${about}` });
  return { chart, node: el("div", { class: "panel" }, el("h2", {}, title), el("p", { class: "hint" }, about), chart) };
}
