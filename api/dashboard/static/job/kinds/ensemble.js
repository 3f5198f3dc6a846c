/** Shows an ensemble's result: a row for each member, for the committee and for all members with equal weights. */
import { el, scrolling } from "../../lib/dom.js";
import { capital, metric, shortId, words } from "../../lib/format.js";
import { curl } from "./curl.js";
import { ResultPanel } from "./result_panel.js";

export class Ensemble extends ResultPanel {
  constructor() {
    super((job) => {
      const result = /** @type {EnsembleResult | null} */ (job.result ?? null);
      const spec = /** @type {EnsembleSpec} */ (job.spec);
      return [
        ...(result ? [el("p", { class: "muted small" }, partsOf(result)), scrolling("Members", membersTable(spec, result))] : []),
        ...(job.status === "succeeded" ? [curl(job.links.checkpoint), curl(job.links.logits)] : []),
      ];
    });
  }
}

/**
 * The data that the figures are of.
 * @param {EnsembleResult} result
 */
function partsOf({ test, validation, vocabulary }) {
  const unit = vocabulary ? "words" : "images";
  /** @param {EnsembleResult["test"]} of */
  const described = ({ part, count, of }) => `${count} of the ${of} ${unit} of the ${part} part`;
  return `Test: ${described(test)}.${validation ? ` Validation: ${described(validation)}.` : ""}`;
}

/** @param {EnsembleSpec} spec @param {EnsembleResult} result */
function membersTable(spec, result) {
  const names = Object.keys(result.committee.test);
  const parts = /** @type {const} */ (["test", "validation"]).filter((part) => result[part]);
  const groups = parts.map((part) => el("th", { scope: "colgroup", colspan: names.length }, capital(part)));
  const heads = parts.flatMap(() => names.map((name) => el("th", { scope: "col" }, capital(words(name)))));
  const first = ["Member", "Weight"].map((name) => el("th", { scope: "col", rowspan: 2 }, name));
  /** @param {Child} title @param {string} weight @param {EnsembleResult["plain"]} figures */
  const row = (title, weight, figures) => {
    const cells = parts.flatMap((part) => names.map((name) => metric(`_${name}`, figures[part]?.[name])));
    return el("tr", {}, el("th", { scope: "row" }, title), ...[weight, ...cells].map((cell) => el("td", {}, cell)));
  };
  const members = result.members.map((member, place) => {
    const { name, job_id: job, score_id: score, id } = spec.members[place];
    const source = score ?? job;
    const title = source ? el("a", { href: `#/jobs/${source}` }, name ?? shortId(source)) : `checkpoint ${shortId(id)}`;
    return row(title, member.chosen ? metric("weight", member.weight) : "not chosen", member);
  });
  return el(
    "table",
    { class: "small" },
    el("thead", {}, el("tr", {}, ...first, ...groups), el("tr", {}, ...heads)),
    el("tbody", {}, ...members, row("committee", "", result.committee), row("all members, equal weights", "", result.plain)),
  );
}
