/** Compares two to six jobs side by side, live. */
import { cellsOf, entropy, inWords, layoutOf, named } from "../lib/cells.js";
import { Chart, lines } from "../lib/charts.js";
import { batched, el, fill, scrolling, text } from "../lib/dom.js";
import { capital, words } from "../lib/format.js";
import { get, page } from "../lib/http.js";
import { apply, title } from "../lib/jobs.js";
import { follow } from "../lib/live.js";
import { remember } from "../lib/router.js";
import { cellRows, figureRows, specRows, tabulate } from "./tables.js";

const METRICS = ["validation_accuracy", "validation_perplexity", "train_loss", "validation_loss"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const MOST = 6;

/** @typedef {import("./tables.js").Side} Side */

/** @param {HTMLElement} main @param {Place} place @param {AbortSignal} signal */
export async function compareView(main, { query }, signal) {
  const ids = [...new Set((query.get("ids") ?? "").split(",").filter(Boolean))].slice(0, MOST);
  if (ids.length < 2) return choose(main, ids, signal);
  const sides = await Promise.all(ids.map((id) => side(id, signal)));
  const grid = el("div", { class: "columns" });
  /** @type {Map<string, Chart>} */
  const charts = new Map();
  const figures = el("table", { class: "small" });
  const cells = el("table", { class: "small" });
  const specs = el("table", { class: "small" });
  const pictures = el("div", { class: "columns" });
  const paint = batched(show, signal);
  let compared = await compare();
  let refreshing = false;
  fill(
    main,
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, `Compare ${sides.length} jobs`), el("p", { class: "muted" }, "Lines and columns are in the same order.")),
      el(
        "div",
        { class: "row" },
        ensembleLink(sides),
        el("a", { class: "button", href: `#/jobs?chosen=${ids.join(",")}` }, "Choose others"),
      ),
    ),
    el(
      "div",
      { class: "stack" },
      scrolling("Figures", figures),
      scrolling("Where the specs differ", specs),
      grid,
      pictures,
      scrolling("The cells, edge by edge", cells),
    ),
  );
  const places = sides.map(({ job }) => `job=${job.id}@${job.last_sequence}`);
  follow(`/events?${places.join("&")}`, { onEvent: take, signal });
  paint();

  /** @param {JobEvent} event */
  function take(event) {
    const one = sides.find(({ job }) => job.id === event.job_id);
    if (!one) return true;
    if (event.kind === "end") {
      one.ended = true;
      return sides.some(({ ended }) => !ended);
    }
    if (event.kind === "epoch" && !one.epochs.some(({ epoch }) => epoch === event.data.epoch)) one.epochs.push(event.data);
    apply(one.job, event);
    if (event.kind === "epoch" || event.kind === "status") refresh();
    paint();
    return true;
  }

  function compare() {
    return get(`/compare?ids=${ids.join(",")}`, { signal });
  }

  /** One request at a time: with many running jobs, events come faster than answers. */
  async function refresh() {
    if (refreshing) return;
    refreshing = true;
    try {
      compared = await compare();
      paint();
    } catch {
      // The service is away: the next event of the stream refreshes again.
    } finally {
      refreshing = false;
    }
  }

  function show() {
    tabulate(figures, sides, figureRows(sides, compared));
    tabulate(specs, sides, specRows(compared), "The specs are the same.");
    tabulate(cells, sides, cellRows(sides, compared), "No cell yet.");
    const last = Math.max(1, ...sides.flatMap(({ epochs }) => epochs.map(({ epoch }) => epoch)));
    for (const name of METRICS) curve(words(name), name, last, ({ metrics }) => metrics[name]);
    curve("alpha entropy", "nats", last, ({ strengths }) => (strengths ? mean(Object.values(strengths).map(entropy)) : undefined));
    draw();
  }

  /**
   * @param {string} heading
   * @param {string} y
   * @param {number} last
   * @param {(epoch: Epoch) => number | undefined} of
   */
  function curve(heading, y, last, of) {
    const series = sides.map(({ job, epochs }, index) => {
      const points = epochs.flatMap((epoch) => {
        const value = of(epoch);
        return value === undefined ? [] : [[epoch.epoch, value]];
      });
      return { name: title(job), x: points.map(([x]) => x), y: points.map(([, y]) => y), colour: index + 1, dash: DASHES[index] };
    });
    if (!series.some(({ x }) => x.length)) return;
    let chart = charts.get(heading);
    if (!chart) {
      const node = el("div", {
        class: "chart",
        role: "img",
        "aria-label": `${heading} of each job over the epochs; the table above has the latest`,
      });
      grid.append(el("div", { class: "panel" }, el("h2", {}, capital(heading)), node));
      chart = new Chart(node, signal);
      charts.set(heading, chart);
    }
    chart.draw(() => lines({ series, y: words(y), last }));
  }

  /** Show the latest cell of each search, and the cell that each evaluation trains. */
  function draw() {
    for (const one of sides) {
      const { job, epochs } = one;
      const latest = job.kind === "search" ? epochs.at(-1) : null;
      const epoch = latest?.epoch ?? 0;
      if (one.drawn === epoch || !(latest || job.kind === "evaluation")) continue;
      one.drawn = epoch;
      one.picture ??= pictures.appendChild(el("section", { class: "panel cell" }));
      const layout = layoutOf(job.spec);
      const genotype = latest?.genotype ?? /** @type {Genotype} */ (job.spec.genotype);
      const images = cellsOf(layout).map((cell) => {
        const after = latest ? ` after epoch ${epoch}` : "";
        const described = `${named(cell)} of ${title(job)}${after}: ${inWords(genotype, cell, layout)}`;
        return el("img", { src: `${job.links.self}/cells/${cell}.svg${latest ? `?epoch=${epoch}` : ""}`, alt: described });
      });
      fill(one.picture, el("h2", {}, title(job)), ...images);
    }
  }
}

/**
 * A link to an ensemble of these jobs, if all are trained networks.
 * @param {Side[]} sides
 */
function ensembleLink(sides) {
  if (!sides.every(({ job }) => job.kind === "evaluation" && job.status === "succeeded")) return null;
  return el(
    "a",
    { class: "button", href: `#/new?kind=ensemble&members=${sides.map(({ job }) => job.id).join(",")}` },
    "Create an ensemble",
  );
}

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<Side>}
 */
async function side(id, signal) {
  const job = await get(`/jobs/${encodeURIComponent(id)}`, { signal });
  const { items: epochs } = await get(`${job.links.self}/epochs`, { signal });
  return { job, epochs, ended: false };
}

/** @param {number[]} values */
function mean(values) {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/**
 * Offer a list of jobs to choose from.
 * @param {HTMLElement} main
 * @param {string[]} ids
 * @param {AbortSignal} signal
 */
async function choose(main, ids, signal) {
  const { items } = await page("/jobs", {}, { limit: 50, signal });
  const chosen = new Set(ids);
  const go = el("button", { type: "button", class: "primary", disabled: true }, "Compare");
  const boxes = items.map((job) => {
    const box = el("input", { type: "checkbox", checked: chosen.has(job.id) });
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(job.id);
      else chosen.delete(job.id);
      go.disabled = chosen.size < 2 || chosen.size > MOST;
      text(go, chosen.size > MOST ? `At most ${MOST}` : `Compare ${chosen.size}`);
    });
    return el("label", {}, box, `${title(job)} (${job.status})`);
  });
  go.addEventListener("click", () => {
    remember(new URLSearchParams({ ids: [...chosen].join(",") }));
    dispatchEvent(new HashChangeEvent("hashchange"));
  });
  fill(
    main,
    el("div", { class: "head" }, el("div", {}, el("h1", {}, "Compare"), el("p", { class: "muted" }, "Choose two to six jobs.")), go),
    el("fieldset", { class: "panel" }, el("legend", { class: "unseen" }, "Jobs"), el("div", { class: "stack options" }, ...boxes)),
  );
}
