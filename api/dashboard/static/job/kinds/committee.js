import { el, scrolling } from "../../lib/dom.js";
import { capital, metric, words } from "../../lib/format.js";
import { curl } from "./curl.js";
import { Measured } from "./measured.js";

/** What an ensemble found: its members, the committee, and all of them without choice or weights, a row each. */
export class Committee extends Measured {
  constructor() {
    super((job) => [
      ...(job.result ? [el("p", { class: "muted small" }, partsOf(job.result)), scrolling("Members", table(job))] : []),
      ...(job.status === "succeeded" ? [curl(job.links.checkpoint), curl(job.links.logits)] : []),
    ]);
  }
}

/** Which data the figures are of. */
function partsOf({ test, validation, vocabulary }) {
  const what = vocabulary ? "words" : "images";
  const said = ({ part, count, of }) => `${count} of the ${of} ${what} of the ${part} part`;
  return `Test: ${said(test)}.${validation ? ` Validation: ${said(validation)}.` : ""}`;
}

function table({ spec, result }) {
  const names = Object.keys(result.committee.test);
  const parts = ["test", ...(result.validation ? ["validation"] : [])];
  const groups = parts.map((part) => el("th", { scope: "colgroup", colspan: names.length }, capital(part)));
  const heads = parts.flatMap(() => names.map((name) => el("th", { scope: "col" }, capital(words(name)))));
  const first = ["Member", "Weight"].map((name) => el("th", { scope: "col", rowspan: 2 }, name));
  const row = (title, weight, figures) => {
    const cells = parts.flatMap((part) => names.map((name) => metric(`_${name}`, figures[part][name])));
    return el("tr", {}, el("th", { scope: "row" }, title), ...[weight, ...cells].map((cell) => el("td", {}, cell)));
  };
  const members = result.members.map((member, place) => {
    const { name, job_id: job, score_id: score, id } = spec.members[place];
    const title = job || score ? el("a", { href: `#/jobs/${score ?? job}` }, name ?? (score ?? job).slice(-8)) : `checkpoint ${id.slice(-8)}`;
    return row(title, member.chosen ? metric("weight", member.weight) : "not chosen", member);
  });
  return el(
    "table",
    { class: "small" },
    el("thead", {}, el("tr", {}, ...first, ...groups), el("tr", {}, ...heads)),
    el("tbody", {}, ...members, row("committee", "", result.committee), row("all, plainly", "", result.plain)),
  );
}
