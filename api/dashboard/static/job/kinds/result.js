import { el } from "../../lib/dom.js";
import { metric, value, words } from "../../lib/format.js";
import { curl } from "./curl.js";
import { Measured } from "./measured.js";

/** What a score measured: its metrics, each class, and the file of logits. */
export class Result extends Measured {
  constructor() {
    super((job) => [
      ...(job.result ? [details(job.result)] : []),
      ...(job.status === "succeeded" ? [curl(job.links.logits)] : []),
    ]);
  }
}

function details({ classes, per_class_accuracy: each, confusion, ...rest }) {
  const rows = (classes ?? []).map((name, index) => [name, metric("_accuracy", each[index])]);
  const pairs = [...Object.entries(rest).map(([name, of]) => [words(name), value(of)]), ...rows];
  return el(
    "details",
    {},
    el("summary", {}, classes ? "Accuracy of each class" : "In detail"),
    el("dl", { class: "pairs small" }, ...pairs.flatMap(([name, of]) => [el("dt", {}, name), el("dd", {}, of)])),
  );
}
