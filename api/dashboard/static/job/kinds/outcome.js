import { el, fill, scrolling } from "../../lib/dom.js";
import { capital, duration, metric, shortId, words } from "../../lib/format.js";
import { curl } from "./curl.js";

/** What a study or a committee found: candidates, choice and test figures, or members and committee. */
export class Outcome {
  constructor() {
    this.content = el("div", { class: "stack" }, el("p", { class: "muted" }, "Nothing yet: it comes with the last child."));
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Result")), this.content);
  }

  update({ job }) {
    if (!job.result || this.shown === job.finished_at) return;
    this.shown = job.finished_at;
    const parts = job.result.points ? job.result.points.flatMap(point) : committee(job.result);
    fill(this.content, ...parts, el("p", { class: "muted" }, `${duration(job.result.compute_seconds)} of computing in all`));
  }
}

function point({ values, dataset, failure, chosen_by: measure, candidates, chosen, final }) {
  const title = Object.entries({ dataset, ...values }).map(([name, of]) => `${name} ${of}`).join(", ");
  const rows = candidates.map((row) => [
    String(row.seed),
    metric(measure, row[measure]),
    row.chosen ? "chosen" : row.failure ?? "",
    link(row.search),
    link(row.short_retrain),
  ]);
  const spread = final.std === null ? "" : ` ± ${final.std.toFixed(2)}`;
  const runs = final.runs.map((run) => [String(run.seed), metric(final.metric, run[final.metric]), run.failure ?? "", link(run.evaluation)]);
  return [
    el("h3", {}, title),
    table("Candidates", ["Seed", capital(words(measure)), "", "Search", "Short retraining"], rows),
    el("p", {}, failure ?? `Seed ${chosen.seed}: ${chosen.why}.`),
    failure ? null : el("p", {}, el("strong", {}, `${capital(words(final.metric))} ${metric(final.metric, final.mean)}${spread}`), ` over ${final.n} final runs`),
    runs.length ? table("Final runs", ["Seed", capital(words(final.metric)), "", "Evaluation"], runs) : null,
  ];
}

function committee({ members, ensemble, committee: together, plain, gain }) {
  const rows = members.map((row) => {
    const name = ["test_accuracy", "test_perplexity"].find((each) => each in (row.metrics ?? {}));
    return [row.space, String(row.seed), name ? metric(name, row.metrics[name]) : "–", row.failure ?? "", link(row.search), link(row.evaluation)];
  });
  const figures = (of) => Object.entries(of.test).map(([name, figure]) => `${words(name)} ${metric(`test_${name}`, figure)}`).join(" · ");
  return [
    table("Members", ["Space", "Seed", "Test", "", "Search", "Evaluation"], rows),
    el("dl", { class: "pairs small" }, el("dt", {}, "Committee"), el("dd", {}, figures(together)), el("dt", {}, "All members, plain"), el("dd", {}, figures(plain)), el("dt", {}, "Gain over the best member"), el("dd", {}, gain.toFixed(3))),
    el("p", {}, "Measured together by ", link(ensemble)),
    curl(`${ensemble}/checkpoint`),
  ];
}

function table(label, heads, rows) {
  const head = el("thead", {}, el("tr", {}, ...heads.map((name) => el("th", { scope: "col" }, name))));
  const body = el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, cell)))));
  return scrolling(label, el("table", { class: "small" }, head, body));
}

function link(path) {
  const id = path?.split("/").at(-1);
  return id ? el("a", { class: "mono", href: `#/jobs/${id}` }, shortId(id)) : "–";
}
