/** Shows a score's result: its metrics, the accuracy of each class and the file of logits. */
import { el } from "../../lib/dom.js";
import { metric, value, words } from "../../lib/format.js";
import { curl } from "./curl.js";
import { ResultPanel } from "./result_panel.js";

export class Score extends ResultPanel {
  constructor() {
    super((job) => [job.result ? details(job.result) : null, job.status === "succeeded" ? curl(job.links.logits) : null]);
  }
}

/** @param {ScoreResult} result */
function details({ classes, per_class_accuracy: each = [], confusion: _, ...rest }) {
  const rows = (classes ?? []).map((name, index) => [name, metric("_accuracy", each[index])]);
  const pairs = [...Object.entries(rest).map(([name, of]) => [words(name), value(of)]), ...rows];
  return el(
    "details",
    {},
    el("summary", {}, classes ? "Accuracy of each class" : "Details"),
    el("dl", { class: "pairs small" }, ...pairs.flatMap(([name, of]) => [el("dt", {}, name), el("dd", {}, of)])),
  );
}
