/** Shows one job of the list. The row is created once, then changed in place. */
import { el, fill, text } from "../lib/dom.js";
import { ago, clock, duration } from "../lib/format.js";
import { isComposite, share, title } from "../lib/jobs.js";
import { labelLinks } from "../lib/labels.js";
import { nameOf, placeIn } from "../lib/queue.js";
import { COLUMNS } from "./columns.js";

export class Row {
  /**
   * @param {Job} job
   * @param {string[]} columns
   * @param {{ selected: boolean, child?: boolean, onSelect: (id: string, selected: boolean) => void,
   *   onUnfold?: (job: Job, open: boolean) => void }} options
   */
  constructor(job, columns, { selected, child = false, onSelect, onUnfold }) {
    this.job = job;
    /** The job's turn among the queued ones; null until it is known. @type {ReturnType<typeof placeIn>} */
    this.turn = null;
    this.box = el("input", { type: "checkbox", checked: selected, on: { change: () => onSelect(job.id, this.box.checked) } });
    this.status = el("span");
    this.name = el("a", { href: `#/jobs/${job.id}` });
    this.tags = el("span", { class: "muted small" });
    this.at = el("span");
    this.bar = el("progress", { max: 1 });
    this.created = el("time", { datetime: job.created_at, title: clock(job.created_at) });
    this.unfold = el("button", { type: "button", class: "plain unfold", "aria-expanded": "false" });
    this.unfold.hidden = !onUnfold || !isComposite(job);
    this.unfold.addEventListener("click", () => {
      const open = this.unfold.getAttribute("aria-expanded") === "false";
      this.unfold.setAttribute("aria-expanded", String(open));
      onUnfold?.(job, open);
    });
    /** @type {Map<string, HTMLElement>} */
    this.cells = new Map(columns.map((name) => [name, this.cell(name)]));
    this.node = el("tr", { class: child ? "child" : null }, el("td", { class: "select" }, this.box), ...this.cells.values());
    this.update();
  }

  /** @param {string} name */
  cell(name) {
    const { label, number } = COLUMNS[name];
    if (name === "status") return el("td", {}, this.status);
    if (name === "name") return el("td", { class: "name" }, el("div", {}, this.unfold, this.name, this.tags));
    if (name === "progress") return el("td", { class: "progress" }, el("div", {}, this.bar, this.at));
    if (name === "created") return el("td", { "data-label": label, class: "muted" }, this.created);
    return el("td", { "data-label": label, class: number ? "number" : null });
  }

  update() {
    const { job } = this;
    const name = title(job);
    text(this.name, name);
    this.name.title = name;
    this.box.setAttribute("aria-label", `Choose ${name}`);
    this.unfold.setAttribute("aria-label", `Children of ${name}`);
    text(this.status, job.status);
    this.status.className = `status ${job.status}`;
    this.status.title = job.status_reason ?? "";
    this.describe();
    const queued = job.status === "queued";
    this.bar.hidden = queued && Boolean(job.status_reason || this.turn);
    text(this.at, (queued && this.waits()) || this.position());
    this.at.title = queued ? (job.status_reason ?? this.before()) : "";
    this.bar.value = share(job);
    this.bar.setAttribute("aria-label", `progress of ${name}`);
    for (const [column, cell] of this.cells) {
      if (!["status", "name", "progress", "created"].includes(column)) text(cell, COLUMNS[column].text(job));
    }
    this.tick();
  }

  /** Show kind, family, data set and labels; a label leads to the jobs that have it. */
  describe() {
    const { kind, labels, spec, warning } = this.job;
    const about = [kind, spec.family, spec.dataset, warning && "diverged"].filter(Boolean).join(" · ");
    const shown = JSON.stringify([about, labels]);
    if (this.tags.dataset.shown === shown) return;
    this.tags.dataset.shown = shown;
    fill(this.tags, about, ...labelLinks(labels).flatMap((link) => [" · ", link]));
    this.tags.title = warning ?? "";
  }

  /** Why a queued job waits, as far as that is known. */
  waits() {
    return this.job.status_reason ?? (this.turn && (this.turn.place === 1 ? "next in the queue" : `place ${this.turn.place} in the queue`));
  }

  /** The jobs whose turn comes first. */
  before() {
    const names = (this.turn?.before ?? []).slice(-3).map(nameOf);
    return names.length ? `after ${names.join(", ")}` : "";
  }

  position() {
    const { progress: at, status, spec } = this.job;
    const eta = status === "running" ? at?.eta_seconds : null;
    const epochs = at ? `${at.epoch} / ${at.epochs}` : `– / ${spec.epochs ?? 1}`;
    if (status === "running" && at?.stage) return `${epochs} · ${at.stage}`;
    return typeof eta === "number" ? `${epochs} · ${duration(eta)} left` : epochs;
  }

  /** Update the texts that change with time alone. */
  tick() {
    text(this.created, ago(this.job.created_at));
    if (this.job.status === "running" && this.cells.has("duration")) {
      text(/** @type {HTMLElement} */ (this.cells.get("duration")), COLUMNS.duration.text(this.job));
    }
  }
}
