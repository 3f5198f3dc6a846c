import { Chart, lines } from "../lib/charts.js";
import { el, fill, scrolling } from "../lib/dom.js";
import { capital, metric, words } from "../lib/format.js";

const GROUPS = { loss: "loss in nats", accuracy: "accuracy in %", perplexity: "perplexity" };

/** What was measured, epoch by epoch: a chart for each kind of metric that there is, and all of it as a table. */
export class Curves {
  constructor(signal, look) {
    this.signal = signal;
    this.look = look;
    this.charts = new Map();
    this.grid = el("div", { class: "columns" });
    this.table = el("table", { class: "small" });
    this.details = el("details", {}, el("summary", {}, "As a table"), scrolling("All metrics", this.table));
    this.details.addEventListener("toggle", () => this.tabulate());
    this.details.hidden = true;
    this.empty = el("p", { class: "muted" }, "Curves appear when the first epoch has ended.");
    this.node = el("section", { class: "stack", "aria-label": "Curves" }, this.grid, this.empty, this.details);
  }

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

  chart(group) {
    if (!this.charts.has(group)) {
      const node = el("div", { class: "chart", role: "img", "aria-label": `${group} over the epochs; the table below has its values` });
      this.grid.append(el("div", { class: "panel" }, el("h2", {}, capital(group)), node));
      this.charts.set(group, new Chart(node, this.signal, { onClick: this.look }));
    }
    return this.charts.get(group);
  }

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
    return lines({ series, y: unit, last: epochs.at(-1).epoch, mark: at });
  }

  tabulate() {
    if (!this.details.open) return;
    const names = [...new Set(this.epochs.flatMap(({ metrics }) => Object.keys(metrics)))];
    const heads = ["epoch", "attempt", "seconds", ...names.map(words)];
    fill(
      this.table,
      el("thead", {}, el("tr", {}, ...heads.map((name) => el("th", { scope: "col" }, name)))),
      el(
        "tbody",
        {},
        ...this.epochs.map(({ epoch, attempt, seconds, metrics }) => {
          const values = names.map((name) => metric(name, metrics[name]));
          return el("tr", {}, ...[epoch, attempt, seconds.toFixed(1), ...values].map((each) => el("td", {}, String(each))));
        }),
      ),
    );
  }
}
