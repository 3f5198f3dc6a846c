import { el, scrolling } from "../lib/dom.js";
import { metric, words } from "../lib/format.js";
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
  const heads = ["", "Weight", ...parts.flatMap((part) => names.map((name) => `${words(name)} (${part})`))];
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
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...members, row("committee", "", result.committee), row("all, plainly", "", result.plain)),
  );
}
