import { el, text } from "../lib/dom.js";
import { ago, clock, duration, metric, words } from "../lib/format.js";
import { bestOf, share, title } from "../lib/jobs.js";

/** One job in the list: made once, then changed in place. */
export class Row {
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
    this.made = el("time", { datetime: job.created_at, title: clock(job.created_at) });
    this.node = el(
      "tr",
      {},
      el("td", {}, this.status),
      el("td", { class: "name" }, this.name, this.tags),
      el("td", { class: "progress" }, el("div", { class: "bar-text" }, this.at, this.eta), this.bar),
      el("td", { "data-label": "Best" }, this.best),
      el("td", { "data-label": "Made", class: "muted" }, this.made),
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
    const running = job.status === "running" && at?.eta_seconds !== null && at !== null;
    text(this.eta, running ? `${duration(at.eta_seconds)} left` : "");
    this.bar.value = share(job);
    this.bar.setAttribute("aria-label", `progress of ${name}`);
    const best = bestOf(job);
    text(this.best, best ? metric(best.name, best.value) : "–");
    this.best.title = best ? `${words(best.name)}, epoch ${best.epoch}` : "";
    this.tick();
  }

  /** What changes with the clock alone. */
  tick() {
    text(this.made, ago(this.job.created_at));
  }
}
