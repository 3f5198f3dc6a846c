/** Shows all values of the job's spec, defaults filled in. */
import { el, fill } from "../lib/dom.js";
import { value } from "../lib/format.js";

export class Spec {
  constructor() {
    this.shown = "";
    this.list = el("dl", { class: "pairs small" });
    this.node = el("section", { class: "panel" }, el("details", {}, el("summary", {}, "Spec"), this.list));
  }

  /** @param {JobState} state */
  update({ job }) {
    const frame = { id: job.id, priority: job.priority, pool: job.pool, gpus: job.gpus, labels: job.labels };
    const shown = JSON.stringify([frame, job.spec, job.threads]);
    if (this.shown === shown) return;
    this.shown = shown;
    // The attempts' threads are those of the spec, if it names any.
    const pairs = Object.entries({ ...frame, ...job.spec, threads: job.threads ?? job.spec.threads });
    fill(this.list, ...pairs.flatMap(([name, of]) => [el("dt", {}, name), el("dd", { class: "mono" }, value(of))]));
  }
}
