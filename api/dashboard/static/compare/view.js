import { cellsOf, entropy, inWords } from "../lib/cells.js";
import { Chart, lines } from "../lib/charts.js";
import { batched, el, fill, scrolling, text } from "../lib/dom.js";
import { capital, duration, metric, value, whole, words } from "../lib/format.js";
import { get, page } from "../lib/http.js";
import { apply, bestOf, title } from "../lib/jobs.js";
import { follow } from "../lib/live.js";
import { remember } from "../lib/router.js";

const METRICS = ["validation_accuracy", "validation_perplexity", "train_loss", "validation_loss"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const MOST = 6;

/** Two to six jobs beside each other, live. */
export async function compareView(main, { query }, signal) {
  const ids = [...new Set((query.get("ids") ?? "").split(",").filter(Boolean))].slice(0, MOST);
  if (ids.length < 2) return choose(main, ids, signal);
  const sides = await Promise.all(ids.map((id) => side(id, signal)));
  const grid = el("div", { class: "columns" });
  const charts = new Map();
  const figures = el("table", { class: "small" });
  const specs = el("table", { class: "small" });
  const pictures = el("div", { class: "columns" });
  const paint = batched(show, signal);
  let compared = await get(`/compare?ids=${ids.join(",")}`, { signal });
  let asking = false;
  fill(
    main,
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, `Compare ${sides.length} jobs`), el("p", { class: "muted" }, "Lines and columns stand in the same order.")),
      el("div", { class: "row" }, together(sides), el("a", { class: "button", href: "#/jobs" }, "Choose others")),
    ),
    el(
      "div",
      { class: "stack" },
      scrolling("Figures", figures),
      grid,
      pictures,
      scrolling("Where the specs differ", specs),
    ),
  );
  const places = sides.map(({ job }) => `job=${job.id}@${job.last_sequence}`);
  follow(`/events?${places.join("&")}`, { onEvent: take, signal });
  paint();

  function take(kind, { job_id: id, data }) {
    const one = sides.find(({ job }) => job.id === id);
    if (!one) return true;
    if (kind === "end") {
      one.ended = true;
      return sides.some(({ ended }) => !ended);
    }
    if (kind === "epoch" && !one.epochs.some(({ epoch }) => epoch === data.epoch)) one.epochs.push(data);
    apply(one.job, kind, data);
    if (kind === "epoch" || kind === "status") refresh();
    paint();
    return true;
  }

  /** One question at a time: with many jobs at work, events come faster than answers. */
  async function refresh() {
    if (asking) return;
    asking = true;
    try {
      compared = await get(`/compare?ids=${ids.join(",")}`, { signal });
      paint();
    } catch {
      // Away: the stream comes back, and its next event asks again.
    } finally {
      asking = false;
    }
  }

  function show() {
    tabulate(figures, sides, rowsOf(sides, compared));
    tabulate(specs, sides, differences(compared), "The specs are the same.");
    const last = Math.max(1, ...sides.flatMap(({ epochs }) => epochs.map(({ epoch }) => epoch)));
    for (const name of METRICS) curve(words(name), name, last, ({ metrics }) => metrics[name]);
    curve("alpha entropy", "nats", last, ({ alphas }) => alphas && mean(Object.values(alphas).map(entropy)));
    draw();
  }

  function curve(heading, y, last, of) {
    const series = sides.map(({ job, epochs }, index) => {
      const there = epochs.filter((epoch) => of(epoch) !== undefined && of(epoch) !== null);
      return { name: title(job), x: there.map(({ epoch }) => epoch), y: there.map(of), colour: index + 1, dash: DASHES[index] };
    });
    if (!series.some(({ x }) => x.length)) return;
    if (!charts.has(heading)) {
      const node = el("div", { class: "chart", role: "img", "aria-label": `${heading} of each job over the epochs; the table above has the latest` });
      grid.append(el("div", { class: "panel" }, el("h2", {}, capital(heading)), node));
      charts.set(heading, new Chart(node, signal));
    }
    charts.get(heading).draw(() => lines({ series, y: words(y), last }));
  }

  /** The latest cell of each search. */
  function draw() {
    for (const one of sides) {
      const latest = one.epochs.at(-1);
      if (one.job.kind !== "search" || !latest || one.drawn === latest.epoch) continue;
      one.drawn = latest.epoch;
      one.picture ??= pictures.appendChild(el("section", { class: "panel cell" }));
      const { family } = one.job.spec;
      const images = cellsOf(family).map((cell) => {
        const described = `${cell} cell of ${title(one.job)} after epoch ${latest.epoch}: ${inWords(latest.genotype, cell, family)}`;
        return el("img", { src: `${one.job.links.self}/cells/${cell}.svg?epoch=${latest.epoch}`, alt: described });
      });
      fill(one.picture, el("h2", {}, title(one.job)), ...images);
    }
  }
}

/** Trained networks can answer together, too. */
function together(sides) {
  if (!sides.every(({ job }) => job.kind === "evaluation" && job.status === "succeeded")) return null;
  return el("a", { class: "button", href: `#/new?kind=ensemble&members=${sides.map(({ job }) => job.id).join(",")}` }, "Measure together");
}

async function side(id, signal) {
  const job = await get(`/jobs/${encodeURIComponent(id)}`, { signal });
  const { items: epochs } = await get(`${job.links.self}/epochs`, { signal });
  return { job, epochs, ended: false };
}

/** [name, what stands there for a job and its place]: what the events bring, then what the service reckons up. */
function rowsOf(sides, { jobs }) {
  const rows = [
    ["status", ({ job }) => el("span", { class: `status ${job.status}` }, job.status)],
    ["epochs", ({ epochs }, at) => `${epochs.length} of ${jobs[at].planned_epochs ?? "–"}`],
    ["best", ({ job }) => (bestOf(job) ? `${metric(bestOf(job).name, bestOf(job).value)} (epoch ${bestOf(job).epoch})` : "–")],
    ["computing time", (_, at) => duration(jobs[at].compute_seconds)],
    ["parameters", (_, at) => whole(jobs[at].parameters)],
    ["multiply-adds", (_, at) => whole(jobs[at].multiply_adds)],
    ["skip connections", (_, at) => counted(jobs[at].cells, "skip_connects")],
    ["without parameters", (_, at) => counted(jobs[at].cells, "parameter_free")],
  ];
  const names = new Set(sides.flatMap(({ job }) => Object.keys(job.metrics ?? {})));
  return [...rows, ...[...names].map((name) => [words(name), ({ job }) => metric(name, job.metrics?.[name])])];
}

function counted(cells, what) {
  const each = Object.entries(cells).map(([cell, figures]) => `${figures[what]} of ${figures.edges} ${cell}`);
  return each.join(", ") || "–";
}

/** The names in the specs whose values are not the same everywhere. */
function differences({ spec }) {
  return Object.entries(spec).map(([name, values]) => [name, (_, at) => value(values[at])]);
}

function tabulate(table, sides, rows, otherwise = "") {
  const heads = sides.map(({ job }) => el("th", { scope: "col" }, el("a", { href: `#/jobs/${job.id}` }, title(job))));
  fill(
    table,
    el("thead", {}, el("tr", {}, el("td"), ...heads)),
    el("tbody", {}, ...rows.map(([name, of]) => el("tr", {}, el("th", { scope: "row" }, name), ...sides.map((one, at) => el("td", {}, of(one, at)))))),
  );
  if (!rows.length && otherwise) fill(table, el("tbody", {}, el("tr", {}, el("td", {}, otherwise))));
}

function mean(values) {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Without jobs to compare: a list to take them from. */
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
