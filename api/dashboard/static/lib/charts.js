/** plotly, fetched when the first chart wants it, and the few kinds of chart that the views need. */

let loading = null;
let before = Promise.resolve();

/** Start plotly, which holds the page up for a moment, only when this is there, or has taken too long. */
export function startAfter(shown, patience = 1500) {
  before = Promise.race([shown, new Promise((resolve) => setTimeout(resolve, patience))]);
}

async function plotly() {
  const source = document.querySelector("meta[name=charts]").content;
  if (loading === null && !document.querySelector("link[as=script]")) {
    const fetched = document.createElement("link");
    Object.assign(fetched, { rel: "preload", as: "script", href: source });
    document.head.append(fetched);
  }
  await before;
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = source;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      loading = null;
      script.remove();
      reject(new Error("the charts could not be loaded"));
    };
    document.head.append(script);
  });
  return loading;
}

const dark = matchMedia("(prefers-color-scheme: dark)");

export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** One chart in `node`, drawn anew at most twice a second, gone with `signal`. */
export class Chart {
  #node;
  #make = null;
  #due = false;
  #signal;
  #listening = false;
  #onClick;

  constructor(node, signal, { onClick = null } = {}) {
    this.#node = node;
    this.#signal = signal;
    this.#onClick = onClick;
    dark.addEventListener("change", () => this.#soon(), { signal });
    const seen = new ResizeObserver(() => node.firstChild && window.Plotly?.Plots.resize(node));
    seen.observe(node);
    signal.addEventListener("abort", () => {
      seen.disconnect();
      window.Plotly?.purge(node);
    });
  }

  /** make: () => { traces, layout }, asked again when the page turns dark. */
  draw(make) {
    this.#make = make;
    this.#soon();
  }

  async #soon() {
    if (this.#due || this.#make === null) return;
    this.#due = true;
    const library = await plotly().catch(() => null);
    // The first drawing at once, later ones together.
    if (this.#listening) await new Promise((resolve) => setTimeout(resolve, 500));
    this.#due = false;
    if (library === null || this.#signal.aborted) return;
    const { traces, layout } = this.#make();
    await library.react(this.#node, traces, { ...base(), ...layout }, CONFIG);
    if (!this.#listening) {
      this.#listening = true;
      if (this.#onClick) this.#node.on("plotly_click", (event) => this.#onClick(event.points[0].x));
    }
  }
}

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: "reset" };

function base() {
  return {
    autosize: true,
    margin: { l: 48, r: 12, t: 8, b: 36 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: token("sans"), size: 12, color: token("muted") },
    hovermode: "x unified",
    hoverlabel: { bgcolor: token("surface"), bordercolor: token("line"), font: { color: token("text") } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: token("text") } },
    dragmode: false,
  };
}

export function axis(title, extra = {}) {
  return {
    title: { text: title, standoff: 6 },
    gridcolor: token("line"),
    linecolor: token("line"),
    zeroline: false,
    fixedrange: true,
    automargin: true,
    ...extra,
  };
}

/** Epochs on the x axis are whole. */
export function epochAxis(last) {
  return axis("epoch", { tickformat: "d", rangemode: "tozero", range: [0.5, Math.max(last, 2) + 0.5], nticks: 8 });
}

/** series: [{ name, x, y, colour: 1..6, dash }]. mark: an epoch to draw a line at. */
export function lines({ series, y, last, mark = null, extra = {} }) {
  const many = series.some(({ x }) => x.length > 40);
  return {
    traces: series.map(({ name, x, y: values, colour, dash = "solid", step = false }) => ({
      type: "scatter",
      mode: many ? "lines" : "lines+markers",
      name,
      x,
      y: values,
      line: { color: token(`series-${colour}`), width: 2, dash, shape: step ? "hv" : "linear" },
      marker: { size: 5 },
    })),
    layout: {
      xaxis: epochAxis(last),
      yaxis: axis(y, extra),
      showlegend: series.length > 1,
      shapes: mark === null ? [] : [marker(mark)],
    },
  };
}

export function marker(epoch) {
  return {
    type: "line",
    x0: epoch,
    x1: epoch,
    yref: "paper",
    y0: 0,
    y1: 1,
    line: { color: token("line-strong"), width: 1, dash: "dot" },
  };
}
