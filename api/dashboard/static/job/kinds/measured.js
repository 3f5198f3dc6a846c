import { el, fill } from "../../lib/dom.js";
import { capital, metric, words } from "../../lib/format.js";

/** The panel of a job that measures: its metrics, and below them what `details(job)` gives. */
export class Measured {
  constructor(details) {
    this.details = details;
    this.content = el("div", { class: "stack" }, el("p", { class: "muted" }, "Not measured yet."));
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Result")), this.content);
  }

  update({ job }) {
    const shown = JSON.stringify([job.metrics, job.result !== null, job.status]);
    if (!job.metrics || this.shown === shown) return;
    this.shown = shown;
    const pairs = Object.entries(job.metrics).map(([name, of]) => el("div", {}, el("dt", {}, capital(words(name))), el("dd", {}, metric(name, of))));
    fill(this.content, el("dl", { class: "figures" }, ...pairs), ...this.details(job));
  }
}
