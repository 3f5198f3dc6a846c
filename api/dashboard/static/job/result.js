import { el, fill } from "../lib/dom.js";
import { metric, value, words } from "../lib/format.js";
import { curl } from "./curl.js";

/** What a score measured: its metrics, each class, and the file of logits. */
export class Result {
  constructor() {
    this.content = el("div", { class: "stack" }, el("p", { class: "muted" }, "Not measured yet."));
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Result")), this.content);
  }

  update({ job }) {
    const shown = JSON.stringify([job.metrics, job.result !== null, job.status]);
    if (!job.metrics || this.shown === shown) return;
    this.shown = shown;
    const pairs = Object.entries(job.metrics).map(([name, of]) => el("div", {}, el("dt", {}, words(name)), el("dd", {}, metric(name, of))));
    fill(
      this.content,
      el("dl", { class: "figures" }, ...pairs),
      job.result ? this.details(job.result) : null,
      job.status === "succeeded" ? curl(job.links.logits) : null,
    );
  }

  details({ classes, per_class_accuracy: each, confusion, ...rest }) {
    const rows = (classes ?? []).map((name, index) => [name, metric("_accuracy", each[index])]);
    const pairs = [...Object.entries(rest).map(([name, of]) => [words(name), value(of)]), ...rows];
    return el(
      "details",
      {},
      el("summary", {}, classes ? "Accuracy of each class" : "In detail"),
      el("dl", { class: "pairs small" }, ...pairs.flatMap(([name, of]) => [el("dt", {}, name), el("dd", {}, of)])),
    );
  }
}
