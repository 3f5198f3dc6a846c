/** The tables of a comparison: figures with the best of each row marked, specs where they differ, cells edge by edge. */
import { layoutOf, stateName } from "../lib/cells.js";
import { el, fill } from "../lib/dom.js";
import { capital, duration, metric, value, whole, words } from "../lib/format.js";
import { bestOf, title } from "../lib/jobs.js";

/**
 * A compared job. `drawn` is the epoch of its cell's picture.
 * @typedef {{ job: Job, epochs: Epoch[], ended: boolean, drawn?: number, picture?: HTMLElement }} Side
 * A row of a table, with a cell for each side: its text, or its node. style: of each cell.
 * @typedef {{ name: Child, contents: Child[], style?: (string | null)[] }} Row
 */

/**
 * First the figures that events update, then those that the service computes.
 * @param {Side[]} sides
 * @param {Comparison} comparison
 * @returns {Row[]}
 */
export function figureRows(sides, { jobs }) {
  const bests = sides.map(({ job }) => bestOf(job));
  const names = [...new Set(sides.flatMap(({ job }) => Object.keys(job.metrics ?? {})))];
  const best = bests.find((each) => each)?.name;
  return [
    { name: "Status", contents: sides.map(({ job }) => el("span", { class: `status ${job.status}` }, job.status)) },
    { name: "Epochs", contents: sides.map(({ epochs }, at) => `${epochs.length} of ${jobs[at].planned_epochs ?? "–"}`) },
    measured(
      "Best",
      bests.map((each) => (each?.name === best ? each?.value : undefined)),
      best,
      (_, at) => bestIn(bests[at]),
    ),
    measured(
      "Parameters",
      jobs.map(({ parameters }) => parameters),
      "parameters",
      whole,
    ),
    measured(
      "Multiply-adds",
      jobs.map(({ multiply_adds }) => multiply_adds),
      "multiply_adds",
      whole,
    ),
    measured(
      "Compute time",
      jobs.map(({ compute_seconds }) => compute_seconds),
      "compute_seconds",
      duration,
    ),
    { name: "Skip connections", contents: jobs.map(({ cells }) => counted(cells, "skip_connects")) },
    { name: "Without parameters", contents: jobs.map(({ cells }) => counted(cells, "parameter_free")) },
    ...names.map((name) =>
      measured(
        capital(words(name)),
        sides.map(({ job }) => job.metrics?.[name]),
        name,
        (figure) => metric(name, figure),
      ),
    ),
  ];
}

/**
 * A row of numbers. The best is marked where the name says which is: high accuracies, low losses and costs.
 * @param {string} label
 * @param {(number | null | undefined)[]} figures
 * @param {string | undefined} name
 * @param {(figure: number | null | undefined, at: number) => string} shown
 * @returns {Row}
 */
function measured(label, figures, name, shown) {
  const place = bestPlace(figures, name ?? "");
  const contents = figures.map((figure, at) => [shown(figure, at), at === place && el("span", { class: "unseen" }, " (best of the row)")]);
  return {
    name: label,
    contents: contents.map((parts) => el("span", {}, ...parts)),
    style: figures.map((_, at) => (at === place ? "best" : null)),
  };
}

/**
 * The place of the best figure; -1 if none is better than all others or the name does not say which is.
 * @param {(number | null | undefined)[]} figures
 * @param {string} name
 */
export function bestPlace(figures, name) {
  const high = /accuracy|top5/.test(name);
  if (!high && !/loss|perplexity|calibration_error|^parameters$|^multiply_adds$|^compute_seconds$|latency/.test(name)) return -1;
  const known = figures.filter((figure) => typeof figure === "number");
  const best = high ? Math.max(...known) : Math.min(...known);
  return known.length > 1 && known.filter((figure) => figure === best).length === 1 ? figures.indexOf(best) : -1;
}

/** @param {ReturnType<typeof bestOf>} best */
function bestIn(best) {
  return best ? `${metric(best.name, best.value)} (epoch ${best.epoch})` : "–";
}

/** @param {Comparison["jobs"][0]["cells"]} cells @param {"skip_connects" | "parameter_free"} name */
function counted(cells, name) {
  const each = Object.entries(cells).map(([cell, figures]) => `${figures[name]} of ${figures.edges}${cell === "cell" ? "" : ` ${cell}`}`);
  return each.join(", ") || "–";
}

/**
 * The values of the specs that differ, but for genotypes, whose edges have a table of their own.
 * @param {Comparison} comparison
 * @returns {Row[]}
 */
export function specRows({ spec }) {
  const fields = Object.entries(spec).filter(([name]) => name !== "genotype");
  return fields.map(([name, values]) => ({ name: el("span", { title: name }, capital(words(name))), contents: values.map(value) }));
}

/**
 * The edges of the cells. Edges that all jobs have are quiet; of the others, each is marked that the first job has not.
 * @param {Side[]} sides
 * @param {Comparison} comparison
 * @returns {Row[]}
 */
export function cellRows(sides, { cells }) {
  return cells.map(({ cell, node, edges, same }) => {
    const layout = layoutOf(sides[0].job.spec);
    const [first] = edges;
    /** @param {[string, number] | null} edge */
    const changed = (edge) => !same && edge !== null && (edge[0] !== first?.[0] || edge[1] !== first?.[1]);
    return {
      name: `${capital(cell)}, ${stateName(node, layout)}`,
      contents: edges.map((edge) => {
        if (edge === null) return "–";
        const words = `${edge[0]} of ${stateName(edge[1], layout)}`;
        return changed(edge) ? el("mark", {}, words) : words;
      }),
      style: edges.map(() => (same ? "muted" : null)),
    };
  });
}

/** @param {HTMLElement} table @param {Side[]} sides @param {Row[]} rows @param {string} otherwise */
export function tabulate(table, sides, rows, otherwise = "") {
  if (!rows.length) return fill(table, el("tbody", {}, el("tr", {}, el("td", {}, otherwise))));
  const heads = sides.map(({ job }) => el("th", { scope: "col" }, el("a", { href: `#/jobs/${job.id}` }, title(job))));
  const lines = rows.map(({ name, contents, style }) => {
    const each = contents.map((content, at) => el("td", { class: style?.[at] }, content));
    return el("tr", {}, el("th", { scope: "row" }, name), ...each);
  });
  fill(table, el("thead", {}, el("tr", {}, el("td"), ...heads)), el("tbody", {}, ...lines));
}
