/** Shows the job's name, status, progress, actions and main figures. */
import { el, fill, notice, text } from "../lib/dom.js";
import { capital, clock, duration, metric, secondsBetween, shortId, words } from "../lib/format.js";
import { post, send, wordsFor } from "../lib/http.js";
import { allowed, bestOf, isComposite, share, title } from "../lib/jobs.js";

const ACTIONS = { pause: "Pause", resume: "Resume", retry: "Retry", cancel: "Cancel" };

// What a job has of them is shown, the most telling first.
const FIGURES = [
  "test_accuracy",
  "test_perplexity",
  "test_accuracy_mean",
  "test_accuracy_std",
  "test_perplexity_mean",
  "test_loss",
  "train_loss",
];

export class Header {
  /**
   * @param {JobState} state
   * @param {{ changed: (job: Job) => void, follow: () => void }} callbacks
   */
  constructor(state, { changed, follow }) {
    this.changed = changed;
    this.follow = follow;
    this.job = state.job;
    this.title = el("h1", { tabindex: "-1" });
    this.status = el("span");
    this.reason = el("span", { class: "muted" });
    this.parent = el("a", { href: `#/jobs/${state.job.parent}`, hidden: !state.job.parent }, state.job.stage ?? "");
    this.bar = el("progress", { max: 1, "aria-label": "progress" });
    this.figures = el("dl", { class: "figures" });
    this.error = el("section", { class: "panel error-panel stack", hidden: true });
    this.buttons = Object.entries(ACTIONS).map(([action, label]) =>
      el("button", { type: "button", class: action === "cancel" ? "danger" : null, on: { click: () => this.act(action) } }, label),
    );
    this.more = el("button", { type: "button", on: { click: () => this.extend() } }, "Extend");
    this.remove = el("button", { type: "button", class: "danger", on: { click: () => this.delete() } }, "Delete");
    const { id, kind } = state.job;
    this.train = el("a", { class: "button" }, "Train this cell");
    this.node = el(
      "section",
      { class: "stack" },
      el(
        "div",
        { class: "head" },
        el("div", {}, this.title, el("p", { class: "row" }, this.status, this.reason, this.parent)),
        el(
          "div",
          { class: "row" },
          ...this.buttons,
          this.more,
          kind === "search" ? this.train : null,
          el("a", { class: "button", href: `#/new?from=${id}` }, "Clone and edit"),
          this.remove,
        ),
      ),
      el("div", { class: "panel stack" }, this.bar, this.figures),
      this.error,
    );
  }

  /** @param {JobState} state */
  update({ job, at }) {
    this.job = job;
    text(this.title, title(job));
    text(this.status, job.status);
    this.status.className = `status ${job.status}`;
    const about = [job.kind, job.spec.family, job.spec.dataset, shortId(job.id)];
    text(this.reason, [...about, job.status_reason].filter(Boolean).join(" · "));
    this.bar.value = share(job);
    Object.keys(ACTIONS).forEach((action, at) => {
      this.buttons[at].hidden = !allowed(action, job);
    });
    this.more.hidden = !allowed("extend", job);
    this.remove.hidden = !allowed("delete", job);
    this.train.hidden = !job.metrics;
    const of = {
      kind: "evaluation",
      search_id: job.id,
      ...(at && { epoch: String(at) }),
      ...(job.spec.family === "rnn" && { family: "rnn" }),
    };
    this.train.href = `#/new?${new URLSearchParams(of)}`;
    this.tick();
    this.fail(job.error);
  }

  /** Update the figures, of which some change with time alone. */
  tick() {
    fill(this.figures, ...this.facts(this.job).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  /** @param {Job} job */
  facts(job) {
    const at = job.progress;
    const epochs = job.spec.epochs ?? 1;
    /** @type {[string, Child][]} */
    const facts = [[isComposite(job) ? "Children ended" : "Epoch", at ? `${at.epoch} of ${at.epochs}` : `– of ${epochs}`]];
    if (at?.steps && job.status === "running") facts.push(["Step", `${at.step} of ${at.steps}`]);
    if (at?.stage && job.status === "running") facts.push(["Stage", at.stage]);
    if (job.status === "running" && typeof at?.eta_seconds === "number") facts.push(["Remaining", duration(at.eta_seconds)]);
    const best = bestOf(job);
    if (best) facts.push([`Best ${words(best.name)}`, `${metric(best.name, best.value)} (${best.epoch})`]);
    for (const name of FIGURES) {
      if (job.metrics && name in job.metrics) facts.push([capital(words(name)), metric(name, job.metrics[name])]);
    }
    if (job.started_at) facts.push(["Duration", duration(secondsBetween(job.started_at, job.finished_at))]);
    if (job.worker) facts.push(["Worker", el("span", { class: "mono" }, job.worker)]);
    facts.push(["Created", el("span", { class: "small" }, clock(job.created_at))]);
    if (job.started_at) facts.push(["Started", el("span", { class: "small" }, clock(job.started_at))]);
    if (job.preemptions) facts.push(["Preempted", job.preemptions === 1 ? "once" : `${job.preemptions} times`]);
    if (job.owner) facts.push(["Owner", job.owner]);
    return facts;
  }

  /** @param {Job["error"]} error */
  fail(error) {
    this.error.hidden = error === null;
    if (error === null || this.error.dataset.shown === error.message) return;
    this.error.dataset.shown = error.message;
    const rest = [error.traceback, ...(error.log_tail ?? [])].filter(Boolean).join("\n");
    fill(
      this.error,
      el("h2", {}, error.type),
      el("p", {}, error.message),
      rest ? el("details", {}, el("summary", {}, "Traceback and last lines"), el("pre", {}, rest)) : null,
    );
  }

  /** @param {string} action */
  async act(action) {
    if (action === "cancel" && !confirm(`Cancel ${title(this.job)}? It can be retried from its last epoch.`)) return;
    try {
      this.changed(await post(`${this.job.links.self}/${action}`));
      this.follow();
    } catch (error) {
      notice(wordsFor(error));
    }
  }

  async extend() {
    const now = this.job.spec.epochs ?? 1;
    const epochs = prompt(`Epochs in all, more than the present ${now}. It goes on from its last one.`, String(2 * now));
    if (epochs === null) return;
    try {
      this.changed(await post(`${this.job.links.self}/extend`, { epochs: Number(epochs) }));
      this.follow();
    } catch (error) {
      notice(wordsFor(error));
    }
  }

  async delete() {
    if (!confirm(`Delete ${title(this.job)} with its epochs and files? This cannot be undone.`)) return;
    try {
      await send("DELETE", this.job.links.self);
      location.hash = "#/jobs";
    } catch (error) {
      notice(wordsFor(error));
    }
  }
}
