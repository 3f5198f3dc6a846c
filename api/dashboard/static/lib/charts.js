/** Draws charts with plotly, which is fetched when the first chart comes near the screen. */
import { meta } from "./dom.js";

/** @type {Promise<Plotly> | null} */
let loading = null;
/** @type {Promise<unknown>} */
let before = Promise.resolve();
/** @type {Promise<unknown>} */
let turn = Promise.resolve();

/**
 * Delay plotly, whose start blocks the page for a moment, until `shown` resolves or too much time has passed.
 * @param {Promise<unknown>} shown
 */
export function startAfter(shown, patience = 10_000) {
  before = Promise.race([shown, new Promise((resolve) => setTimeout(resolve, patience))]);
}

async function plotly() {
  await before;
  await painted();
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = meta("charts");
    script.onload = () => resolve(/** @type {Plotly} */ (window.Plotly));
    script.onerror = () => {
      loading = null;
      script.remove();
      reject(new Error("the charts could not be loaded"));
    };
    document.head.append(script);
  });
  return loading;
}

/** Wait until the page's present content is painted: the second frame begins when the first one is on the screen. */
async function painted() {
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  await idle();
}

/** Wait until the browser is idle, at most 0.3 s. Safari has no idle callbacks. */
function idle() {
  return new Promise((resolve) => ("requestIdleCallback" in window ? requestIdleCallback(resolve, { timeout: 300 }) : setTimeout(resolve)));
}

/**
 * Draw one chart after another, so that the page answers clicks between them.
 * @param {() => Promise<void>} work
 */
function oneByOne(work) {
  const mine = turn.then(idle).then(work);
  turn = mine.catch(() => {});
  return mine;
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/**
 * The value of a design token (styles/tokens.css).
 * @param {string} name
 */
export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Charts this close to the screen are drawn.
const NEAR = "300px";

/** A chart that is drawn when its node comes near the screen, at most twice a second, until `signal` aborts. */
export class Chart {
  #node;
  /** @type {(() => Figure) | null} */
  #make = null;
  #due = false;
  #near = false;
  #stale = false;
  #signal;
  #listening = false;
  #onClick;

  /** @param {ChartNode} node @param {AbortSignal} signal @param {SelectEpoch | null} onClick */
  constructor(node, signal, onClick = null) {
    this.#node = node;
    this.#signal = signal;
    this.#onClick = onClick;
    dark.addEventListener("change", () => this.#soon(), { signal });
    const size = new ResizeObserver(() => node.firstChild && window.Plotly?.Plots.resize(node));
    size.observe(node);
    const sight = new IntersectionObserver((seen) => this.#seen(seen[seen.length - 1].isIntersecting), { rootMargin: NEAR });
    sight.observe(node);
    signal.addEventListener("abort", () => {
      size.disconnect();
      sight.disconnect();
      window.Plotly?.purge(node);
    });
  }

  /**
   * Draw what `make` returns, and again when the colour scheme changes.
   * @param {() => Figure} make
   */
  draw(make) {
    this.#make = make;
    this.#soon();
  }

  /** @param {boolean} near */
  #seen(near) {
    this.#near = near;
    if (near && this.#stale) this.#soon();
  }

  async #soon() {
    this.#stale = true;
    if (this.#due || !this.#near || this.#make === null) return;
    this.#due = true;
    const library = await plotly().catch(() => null);
    // The first drawing starts at once; later ones within half a second are combined.
    if (this.#listening) await new Promise((resolve) => setTimeout(resolve, 500));
    this.#due = false;
    if (library !== null) await oneByOne(() => this.#paint(library));
  }

  /** @param {Plotly} library */
  async #paint(library) {
    if (this.#signal.aborted || !this.#stale || this.#make === null) return;
    this.#stale = false;
    const { traces, layout } = this.#make();
    await library.react(this.#node, traces, { ...base(), ...layout }, CONFIG);
    if (!this.#listening) {
      this.#listening = true;
      this.#node.on?.("plotly_click", ({ points }) => this.#onClick?.(points[0].x));
    }
  }
}

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: "reset" };

function base() {
  return {
    autosize: true,
    // Wide enough for every axis of the page: with automatic margins plotly draws a chart twice.
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

/** @param {string} title @param {object} extra */
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

/**
 * An x axis of whole epochs.
 * @param {number} last
 */
export function epochAxis(last) {
  return axis("epoch", { tickformat: "d", rangemode: "tozero", range: [0.5, Math.max(last, 2) + 0.5], tick0: 0, dtick: epochStep(last) });
}

/**
 * The epochs from one tick to the next, a round number: there are at most eight ticks.
 * @param {number} last
 */
export function epochStep(last) {
  const least = last / 8;
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= least) ?? 1;
}

/**
 * A line per series. colour: 1 to 6. mark: the epoch of a vertical line.
 * @typedef {{ name: string, x: number[], y: number[], colour: number, dash?: string, step?: boolean }} Series
 * @param {{ series: Series[], y: string, last: number, mark?: number | null, extra?: object }} options
 * @returns {Figure}
 */
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

/**
 * A vertical line at an epoch.
 * @param {number} epoch
 */
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
