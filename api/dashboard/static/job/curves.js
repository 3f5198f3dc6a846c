/** Charts the metrics over the epochs, a chart per kind of metric, and lists them in a table. */
import { Chart, lines } from "../lib/charts.js";
import { el, fill, scrolling, table } from "../lib/dom.js";
import { capital, metric, words } from "../lib/format.js";

const GROUPS = { loss: "loss in nats", accuracy: "accuracy in %", perplexity: "perplexity" };

export class Curves {
  /** @param {AbortSignal} signal @param {SelectEpoch} select */
  constructor(signal, select) {
    this.signal = signal;
    this.select = select;
    /** @type {Map<string, Chart>} */
    this.charts = new Map();
    /** @type {Epoch[]} */
    this.epochs = [];
    this.drawn = "";
    this.grid = el("div", { class: "columns" });
    this.table = el("div");
    this.details = el("details", {}, el("summary", {}, "As a table"), scrolling("All metrics", this.table));
    this.details.addEventListener("toggle", () => this.tabulate());
    this.details.hidden = true;
    this.empty = el("p", { class: "muted" }, "Curves appear when the first epoch has ended.");
    this.node = el("section", { class: "stack", "aria-label": "Curves" }, this.grid, this.empty, this.details);
  }

  /** @param {JobState} state */
  update({ epochs, at }) {
    this.epochs = epochs;
    this.empty.hidden = epochs.length > 0;
    this.details.hidden = !epochs.length;
    const drawn = `${epochs.length} ${at}`;
    if (this.drawn === drawn) return;
    this.drawn = drawn;
    const names = new Set(epochs.flatMap(({ metrics }) => Object.keys(metrics)));
    for (const [group, unit] of Object.entries(GROUPS)) {
      const members = [...names].filter((name) => name.endsWith(`_${group}`));
      if (members.length) this.chart(group).draw(() => this.figure(members, unit, epochs, at));
    }
    this.tabulate();
  }

  /** @param {string} group */
  chart(group) {
    let chart = this.charts.get(group);
    if (!chart) {
      const node = el("div", { class: "chart", role: "img", "aria-label": `${group} over the epochs; the table below has its values` });
      this.grid.append(el("div", { class: "panel" }, el("h2", {}, capital(group)), node));
      chart = new Chart(node, this.signal, this.select);
      this.charts.set(group, chart);
    }
    return chart;
  }

  /** @param {string[]} names @param {string} unit @param {Epoch[]} epochs @param {number | null} at */
  figure(names, unit, epochs, at) {
    const order = ["train", "validation", "test"];
    const series = names
      .sort((a, b) => order.indexOf(a.split("_")[0]) - order.indexOf(b.split("_")[0]))
      .map((name, index) => {
        const there = epochs.filter(({ metrics }) => name in metrics);
        return {
          name: words(name.replace(/_(loss|accuracy|perplexity)$/, "")),
          x: there.map(({ epoch }) => epoch),
          y: there.map(({ metrics }) => metrics[name]),
          colour: index + 1,
          dash: ["solid", "solid", "dash"][index] ?? "dot",
        };
      });
    return lines({ series, y: unit, last: epochs[epochs.length - 1].epoch, mark: at });
  }

  tabulate() {
    if (!this.details.open) return;
    const names = [...new Set(this.epochs.flatMap(({ metrics }) => Object.keys(metrics)))];
    const heads = ["epoch", "attempt", "seconds", ...names.map(words)];
    const rows = this.epochs.map(({ epoch, attempt, seconds, metrics }) => {
      const values = names.map((name) => metric(name, metrics[name]));
      return el("tr", {}, ...[epoch, attempt, seconds.toFixed(1), ...values].map((each) => el("td", {}, String(each))));
    });
    fill(this.table, table(heads, el("tbody", {}, ...rows)));
  }
}
