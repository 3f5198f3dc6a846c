/** plotly, fetched when the first chart comes near the screen, and the few kinds of chart that the views need. */

let loading = null;
let before = Promise.resolve();
let turn = Promise.resolve();

/** plotly holds the page up for a moment: it is fetched only when this is there, or has taken too long. */
export function startAfter(shown, patience = 10_000) {
  before = Promise.race([shown, new Promise((resolve) => setTimeout(resolve, patience))]);
}

async function plotly() {
  await before;
  await painted();
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.querySelector("meta[name=charts]").content;
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

/** When all that the page holds by now is on the screen: the second frame begins when the first one is painted. */
async function painted() {
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  await idle();
}

/** When the page has nothing better to do; soon in any case. */
function idle() {
  return new Promise((resolve) => (window.requestIdleCallback ? requestIdleCallback(resolve, { timeout: 300 }) : setTimeout(resolve)));
}

/** Charts are drawn one by one, so that a click in between is not held up by all of them. */
function oneByOne(work) {
  const mine = turn.then(idle).then(work);
  turn = mine.catch(() => {});
  return mine;
}

const dark = matchMedia("(prefers-color-scheme: dark)");

export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// What is this close to the screen is drawn.
const NEAR = "300px";

/** One chart in `node`, drawn when somebody is about to see it, anew at most twice a second, gone with `signal`. */
export class Chart {
  #node;
  #make = null;
  #due = false;
  #near = false;
  #stale = false;
  #signal;
  #listening = false;
  #onClick;

  constructor(node, signal, { onClick = null } = {}) {
    this.#node = node;
    this.#signal = signal;
    this.#onClick = onClick;
    dark.addEventListener("change", () => this.#soon(), { signal });
    const size = new ResizeObserver(() => node.firstChild && window.Plotly?.Plots.resize(node));
    size.observe(node);
    const sight = new IntersectionObserver((seen) => this.#seen(seen.at(-1).isIntersecting), { rootMargin: NEAR });
    sight.observe(node);
    signal.addEventListener("abort", () => {
      size.disconnect();
      sight.disconnect();
      window.Plotly?.purge(node);
    });
  }

  /** make: () => { traces, layout }, asked again when the page turns dark. */
  draw(make) {
    this.#make = make;
    this.#soon();
  }

  #seen(near) {
    this.#near = near;
    if (near && this.#stale) this.#soon();
  }

  async #soon() {
    this.#stale = true;
    if (this.#due || !this.#near || this.#make === null) return;
    this.#due = true;
    const library = await plotly().catch(() => null);
    // The first drawing at once, later ones together.
    if (this.#listening) await new Promise((resolve) => setTimeout(resolve, 500));
    this.#due = false;
    if (library !== null) await oneByOne(() => this.#paint(library));
  }

  async #paint(library) {
    if (this.#signal.aborted || !this.#stale) return;
    this.#stale = false;
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
    // Wide enough for every axis here: plotly draws a chart twice where it has to find that out itself.
    margin: { l: 58, r: 12, t: 8, b: 44 },
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
