/** Charts the operation strengths of all edges over the epochs as a heat map: edges from top to bottom, operations within. */
import { cellsOf, edges, layoutOf, stateName } from "../lib/cells.js";
import { axis, Chart, epochAxis, marker, token } from "../lib/charts.js";
import { el, fill, scrolling, table } from "../lib/dom.js";

/**
 * The epochs of a search that hold operation strengths; those of imported searches may have none.
 * @param {Epoch[]} epochs
 */
export function searchEpochs(epochs) {
  return /** @type {SearchEpoch[]} */ (epochs.filter(({ strengths }) => strengths));
}

export class Alphas {
  /** @param {JobState} state @param {AbortSignal} signal @param {SelectEpoch} select */
  constructor(state, signal, select) {
    const spec = /** @type {SearchSpec} */ (state.job.spec);
    this.state = state;
    this.layout = layoutOf(spec);
    this.primitives = spec.primitives;
    /** @type {SearchEpoch[]} */
    this.epochs = [];
    this.drawn = "";
    this.cell = cellsOf(this.layout)[0];
    this.op = "";
    this.map = el("div", {
      class: "chart tall",
      role: "img",
      "aria-label": "Weights of all edges over the epochs; the table below has those of one epoch",
    });
    this.table = el("div");
    this.details = el("details", {}, el("summary", {}, "One epoch as a table"), scrolling("Weights of one epoch", this.table));
    this.details.addEventListener("toggle", () => this.tabulate());
    this.chart = new Chart(this.map, signal, select);
    this.node = el(
      "section",
      { class: "panel", hidden: true },
      el("header", {}, el("h2", {}, "Alphas"), el("div", { class: "row" }, this.cellChoice(), this.opChoice())),
      el("p", { class: "hint" }, "Weight of each operation among its edge's candidates. Click an epoch to see its cell."),
      this.map,
      this.details,
    );
  }

  cellChoice() {
    const names = cellsOf(this.layout);
    return names.length > 1 ? this.choice("Cell", names, (cell) => ({ cell })) : null;
  }

  opChoice() {
    return this.choice("Operation", ["", ...this.primitives], (op) => ({ op }), "all operations");
  }

  /**
   * @param {string} label
   * @param {string[]} values
   * @param {(value: string) => Partial<Pick<Alphas, "cell" | "op">>} chosen
   */
  choice(label, values, chosen, blank = "") {
    const options = values.map((value) => el("option", { value }, value || blank));
    const node = el("select", { "aria-label": label }, ...options);
    node.addEventListener("change", () => {
      Object.assign(this, chosen(node.value));
      this.drawn = "";
      this.update(this.state);
    });
    return el("div", {}, node);
  }

  /** @param {JobState} state */
  update(state) {
    this.state = state;
    const epochs = searchEpochs(state.epochs);
    this.node.hidden = !epochs.length;
    const drawn = `${epochs.length} ${state.at}`;
    if (!epochs.length || this.drawn === drawn) return;
    this.drawn = drawn;
    this.epochs = epochs;
    this.chart.draw(() => this.figure(epochs, state.at));
    this.tabulate();
  }

  /** @param {SearchEpoch[]} epochs @param {number | null} at @returns {Figure} */
  figure(epochs, at) {
    const rows = edges(epochs[0].strengths[this.cell].length, this.layout);
    const ops = this.op ? [this.op] : this.primitives;
    const columns = ops.map((op) => this.primitives.indexOf(op));
    const weights = epochs.map(({ strengths }) => strengths[this.cell]);
    const z = rows.flatMap((_, row) => columns.map((column) => weights.map((table) => table[row][column])));
    const names = rows.flatMap(([node, source]) => ops.map((op) => `${this.edge(node, source)}: ${op}`));
    const middle = (ops.length - 1) / 2;
    return {
      traces: [
        {
          type: "heatmap",
          x: epochs.map(({ epoch }) => epoch),
          y: z.map((_, index) => index),
          z,
          text: names.map((each) => Array(epochs.length).fill(each)),
          hovertemplate: "%{text}<br>epoch %{x}: %{z:.3f}<extra></extra>",
          // Plotly ignores the one without the other.
          zmin: 0,
          zmax: Math.max(...z.flat()),
          colorscale: [
            [0, token("surface")],
            [0.25, token("accent-soft")],
            [1, token("accent")],
          ],
          colorbar: { thickness: 10, len: 0.5, y: 1, yanchor: "top", outlinewidth: 0, tickformat: ".2f" },
        },
      ],
      layout: {
        hovermode: "closest",
        margin: { l: 100, r: 8, t: 8, b: 44 },
        xaxis: { ...epochAxis(epochs[epochs.length - 1].epoch), showgrid: false },
        yaxis: axis("", {
          autorange: "reversed",
          showgrid: false,
          tickvals: rows.map((_, index) => index * ops.length + middle),
          ticktext: rows.map(([node, source]) => this.edge(node, source)),
        }),
        shapes: [...separators(rows, ops.length), ...(at === null ? [] : [marker(at)])],
      },
    };
  }

  /** @param {number} node @param {number} source */
  edge(node, source) {
    return `${stateName(source, this.layout)} → ${node}`;
  }

  tabulate() {
    const epoch = this.epochs.find((each) => each.epoch === this.state.at) ?? this.epochs.at(-1);
    if (!this.details.open || !epoch) return;
    const weights = epoch.strengths[this.cell];
    const heads = [`${this.cell}, epoch ${epoch.epoch}`, ...this.primitives];
    const rows = edges(weights.length, this.layout).map(([node, source], row) =>
      el("tr", {}, el("th", { scope: "row" }, this.edge(node, source)), ...weights[row].map((w) => el("td", {}, w.toFixed(3)))),
    );
    fill(this.table, table(heads, el("tbody", {}, ...rows)));
  }
}

/**
 * Lines between the operations of neighbouring edges.
 * @param {[number, number][]} rows
 * @param {number} each operations per edge
 */
function separators(rows, each) {
  if (each === 1) return [];
  return rows.slice(1).map((_, index) => ({
    type: "line",
    xref: "paper",
    x0: 0,
    x1: 1,
    y0: (index + 1) * each - 0.5,
    y1: (index + 1) * each - 0.5,
    line: { color: token("line"), width: 1 },
  }));
}
