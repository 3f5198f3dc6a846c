/** Shows a job's metrics and, below them, details that differ by kind. */
import { el, fill } from "../../lib/dom.js";
import { capital, metric, words } from "../../lib/format.js";

export class ResultPanel {
  /** @param {(job: Job) => Child[]} details */
  constructor(details) {
    this.details = details;
    this.shown = "";
    this.content = el("div", { class: "stack" }, el("p", { class: "muted" }, "No result yet."));
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Result")), this.content);
  }

  /** @param {JobState} state */
  update({ job }) {
    const shown = JSON.stringify([job.metrics, job.result !== null, job.status]);
    if (!job.metrics || this.shown === shown) return;
    this.shown = shown;
    const pairs = Object.entries(job.metrics).map(([name, of]) =>
      el("div", {}, el("dt", {}, capital(words(name))), el("dd", {}, metric(name, of))),
    );
    fill(this.content, el("dl", { class: "figures" }, ...pairs), ...this.details(job));
  }
}
