/** Shows the result of a study (candidates, choice, final runs) or of a committee (members, ensemble). */
import { el, fill, scrolling, table } from "../../lib/dom.js";
import { capital, duration, metric, plural, shortId, value, words } from "../../lib/format.js";
import { curl } from "./curl.js";
import { outcome } from "./outcome.js";

export class Composite {
  constructor() {
    /** @type {string | null} */
    this.shown = null;
    this.content = el("div", { class: "stack" }, el("p", { class: "muted" }, "No result yet: it follows the last child."));
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Result")), this.content);
  }

  /** @param {JobState} state */
  update({ job }) {
    if (!job.result || this.shown === job.finished_at) return;
    this.shown = job.finished_at;
    const result = /** @type {(StudyResult | CommitteeResult) & { compute_seconds: number }} */ (job.result);
    const parts = "points" in result ? [pictured(result.points), ...result.points.flatMap(point)] : committee(result);
    fill(this.content, ...parts, el("p", { class: "muted" }, `${duration(result.compute_seconds)} of compute time in all`));
  }
}

/** @param {StudyPoint} point */
function named({ dataset, values }) {
  return [dataset, ...Object.entries(values).map(([name, of]) => `${words(name)} ${value(of)}`)].join(", ");
}

/** @param {StudyPoint[]} points */
function pictured(points) {
  const picture = outcome(points, named);
  return picture && scrolling("Outcome", picture);
}

/** @param {StudyPoint} studied @returns {Child[]} */
function point(studied) {
  const { failure, chosen_by: measure, candidates, chosen, final } = studied;
  const rows = candidates.map((row) => [
    String(row.seed),
    metric(measure, row[measure]),
    row.chosen ? "chosen" : (row.failure ?? ""),
    link(row.search),
    link(row.short_retrain),
  ]);
  const name = capital(words(final.metric));
  const spread = final.std === null ? "" : ` ± ${final.std.toFixed(2)}`;
  const runs = final.runs.map((run) => [
    String(run.seed),
    metric(final.metric, run[final.metric]),
    run.failure ?? "",
    link(run.evaluation),
  ]);
  return [
    el("h3", {}, named(studied)),
    rowsTable("Candidates", ["Seed", capital(words(measure)), "", "Search", "Short retraining"], rows),
    el("p", {}, failure ?? (chosen && `Seed ${chosen.seed}: ${chosen.why}.`)),
    failure
      ? null
      : el("p", {}, el("strong", {}, `${name} ${metric(final.metric, final.mean)}${spread}`), ` over ${plural(final.n, "final run")}`),
    runs.length ? rowsTable("Final runs", ["Seed", name, "", "Evaluation"], runs) : null,
  ];
}

/** @param {CommitteeResult} result @returns {Child[]} */
function committee({ members, ensemble, committee: together, plain, gain }) {
  const rows = members.map(({ space, seed, metrics, failure, search, evaluation }) => {
    const name = ["test_accuracy", "test_perplexity"].find((each) => metrics && each in metrics);
    return [space, String(seed), name ? metric(name, metrics?.[name]) : "–", failure ?? "", link(search), link(evaluation)];
  });
  /** @param {{ test: Metrics }} of */
  const figures = ({ test }) => Object.entries(test).map(([name, figure]) => `${words(name)} ${metric(`test_${name}`, figure)}`);
  const pairs = [
    ["Committee", figures(together).join(" · ")],
    ["All members, equal weights", figures(plain).join(" · ")],
    ["Gain over the best member", `${gain.toFixed(2)} ${"accuracy" in together.test ? "points of accuracy" : "points of perplexity"}`],
  ];
  return [
    rowsTable("Members", ["Space", "Seed", "Test", "", "Search", "Evaluation"], rows),
    el("dl", { class: "pairs small" }, ...pairs.flatMap(([name, of]) => [el("dt", {}, name), el("dd", {}, of)])),
    el("p", {}, "Scored together by ", link(ensemble)),
    curl(`${ensemble}/checkpoint`),
  ];
}

/** @param {string} label @param {string[]} heads @param {Child[][]} rows */
function rowsTable(label, heads, rows) {
  const body = el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, cell)))));
  return scrolling(label, table(heads, body));
}

/** @param {string | null} path */
function link(path) {
  const id = path?.split("/").at(-1);
  return id ? el("a", { class: "mono", href: `#/jobs/${id}` }, shortId(id)) : "–";
}
