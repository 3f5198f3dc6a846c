/** Shows one job of the list. The row is created once, then changed in place. */
import { el, text } from "../lib/dom.js";
import { ago, clock, duration, metric, words } from "../lib/format.js";
import { bestOf, share, title } from "../lib/jobs.js";

export class Row {
  /** @param {Job} job @param {(id: string, selected: boolean) => void} onSelect */
  constructor(job, onSelect) {
    this.job = job;
    this.box = el("input", { type: "checkbox", on: { change: () => onSelect(job.id, this.box.checked) } });
    this.status = el("span");
    this.name = el("a", { href: `#/jobs/${job.id}` });
    this.tags = el("div", { class: "muted small" });
    this.at = el("span");
    this.eta = el("span", { class: "muted" });
    this.bar = el("progress", { max: 1 });
    this.best = el("span");
    this.created = el("time", { datetime: job.created_at, title: clock(job.created_at) });
    this.node = el(
      "tr",
      {},
      el("td", {}, this.status),
      el("td", { class: "name" }, this.name, this.tags),
      el("td", { class: "progress" }, el("div", { class: "bar-text" }, this.at, this.eta), this.bar),
      el("td", { "data-label": "Best" }, this.best),
      el("td", { "data-label": "Created", class: "muted" }, this.created),
      el("td", { class: "select" }, this.box),
    );
    this.update();
  }

  update() {
    const { job } = this;
    const name = title(job);
    text(this.name, name);
    this.box.setAttribute("aria-label", `Compare ${name}`);
    text(this.status, job.status);
    this.status.className = `status ${job.status}`;
    const labels = Object.entries(job.labels).map(([key, value]) => `${key}=${value}`);
    text(this.tags, [job.kind, job.spec.family, job.spec.dataset, ...labels].filter(Boolean).join(" · "));
    const at = job.progress;
    text(this.at, at ? `${at.epoch} / ${at.epochs}` : `– / ${job.spec.epochs ?? 1}`);
    const eta = job.status === "running" ? at?.eta_seconds : null;
    text(this.eta, typeof eta === "number" ? `${duration(eta)} remaining` : "");
    this.bar.value = share(job);
    this.bar.setAttribute("aria-label", `progress of ${name}`);
    const best = bestOf(job);
    text(this.best, best ? metric(best.name, best.value) : "–");
    this.best.title = best ? `${words(best.name)}, epoch ${best.epoch}` : "";
    this.tick();
  }

  /** Update the texts that change with time alone. */
  tick() {
    text(this.created, ago(this.job.created_at));
  }
}
