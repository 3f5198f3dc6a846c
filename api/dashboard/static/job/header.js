/** Shows the job's name, status, progress, actions and main figures. */
import { el, fill, notice, text } from "../lib/dom.js";
import { capital, clock, duration, metric, plural, secondsBetween, shortId, words } from "../lib/format.js";
import { post, send, wordsFor } from "../lib/http.js";
import { allowed, bestOf, ENDED, isComposite, share, title } from "../lib/jobs.js";
import { Notifier } from "./notifier.js";

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
    /** The present stage and when the page first saw it. */
    this.stage = { name: "", since: "" };
    this.happened = el("p", { class: "happened" });
    this.warning = el("p", { class: "caution", hidden: true });
    this.notifier = new Notifier();
    this.bar = el("progress", { max: 1, "aria-label": "progress" });
    this.figures = el("dl", { class: "figures" });
    this.error = el("section", { class: "panel error-panel stack", hidden: true });
    this.buttons = Object.entries(ACTIONS).map(([action, label]) =>
      el("button", { type: "button", class: action === "cancel" ? "danger" : null, on: { click: () => this.act(action) } }, label),
    );
    this.more = el("button", { type: "button", on: { click: () => this.extend() } }, "Extend");
    this.remove = el("button", { type: "button", class: "danger", on: { click: () => this.delete() } }, "Delete");
    const { id, kind } = state.job;
    this.train = el("a", { class: "button primary" }, "Train this cell");
    this.next = el("span", { class: "row" }, ...nextOf(state.job));
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
          kind === "search" ? this.train : null,
          this.next,
          ...this.buttons,
          this.more,
          this.notifier.button,
          el("a", { class: "button", href: `#/new?from=${id}` }, "Clone and edit"),
          this.remove,
        ),
      ),
      this.error,
      el("div", { class: "panel stack" }, this.happened, this.warning, this.bar, this.figures),
    );
  }

  /** @param {JobState} state */
  update({ job, at }) {
    this.job = job;
    text(this.title, title(job));
    text(this.status, job.status);
    this.status.className = `status ${job.status}`;
    const about = [job.kind, job.spec.family, job.spec.dataset, shortId(job.id)];
    // A failure has a panel of its own.
    text(this.reason, [...about, job.error ? null : job.status_reason].filter(Boolean).join(" · "));
    this.warning.hidden = !job.warning;
    text(this.warning, job.warning);
    this.bar.value = share(job);
    Object.keys(ACTIONS).forEach((action, at) => {
      this.buttons[at].hidden = !allowed(action, job);
    });
    this.more.hidden = !allowed("extend", job);
    this.remove.hidden = !allowed("delete", job);
    this.train.hidden = !job.metrics;
    this.next.hidden = !job.metrics;
    this.notifier.update(job);
    this.see(job);
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

  /**
   * Note when the stage began: a job that starts while the page is open tells each at once.
   * @param {Job} job
   */
  see({ status, progress, attempt, started_at: start }) {
    const name = status === "running" ? (progress ? progress.stage : "starting") : null;
    if (this.stage.name === name) return;
    const first = !this.stage.name && attempt === 1 && !progress?.step;
    this.stage = { name: name ?? "", since: (first && start) || new Date().toISOString() };
  }

  /** Update the figures, of which some change with time alone. */
  tick() {
    const { name, since } = this.stage;
    text(this.happened, name ? `${capital(name)}, for ${duration(secondsBetween(since))}` : ended(this.job));
    this.happened.hidden = !this.happened.textContent;
    fill(this.figures, ...this.facts(this.job).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  /** @param {Job} job */
  facts(job) {
    const at = job.progress;
    const epochs = job.spec.epochs ?? 1;
    /** @type {[string, Child][]} */
    const facts = [];
    const best = bestOf(job);
    if (best) facts.push([`Best ${words(best.name)}`, `${metric(best.name, best.value)} (${best.epoch})`]);
    for (const name of FIGURES) {
      if (job.metrics && name in job.metrics) facts.push([capital(words(name)), metric(name, job.metrics[name])]);
    }
    // A figure of the test part tells more than one of the validation.
    if (best && facts[1]?.[0].startsWith("Test")) facts.push(...facts.splice(0, 1));
    facts.push([isComposite(job) ? "Children ended" : "Epoch", at ? `${at.epoch} of ${at.epochs}` : `– of ${epochs}`]);
    if (at?.steps && job.status === "running") facts.push(["Step", `${at.step} of ${at.steps}`]);
    if (job.status === "running" && typeof at?.eta_seconds === "number") facts.push(["Remaining", duration(at.eta_seconds)]);
    if (job.started_at) facts.push(["Duration", duration(secondsBetween(job.started_at, job.finished_at))]);
    if (job.worker) facts.push(["Worker", el("span", { class: "mono" }, job.worker)]);
    facts.push(["Created", el("span", { class: "small" }, clock(job.created_at))]);
    if (job.started_at) facts.push(["Started", el("span", { class: "small" }, clock(job.started_at))]);
    if (job.preemptions) facts.push(["Preempted", plural(job.preemptions, "time")]);
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
      el("h2", {}, `Failed: ${error.type}`),
      el("p", {}, error.message),
      el("p", { class: "hint" }, "Retry goes on from the last stored epoch; Clone and edit starts another job with changed values."),
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

/**
 * How an ended job ended; empty for others.
 * @param {Job} job
 */
function ended(job) {
  const { status, started_at: start, finished_at: end, progress } = job;
  if (!ENDED.has(status) || !end) return "";
  const at = status === "succeeded" || isComposite(job) || !progress?.epoch ? "" : ` in epoch ${progress.epoch} of ${progress.epochs}`;
  return `${capital(status)}${at}${start ? ` after ${duration(secondsBetween(start, end))}` : ""}`;
}

/**
 * Links to what is usually done next with the job's result.
 * @param {Job} job
 */
function nextOf({ id, kind, links, spec }) {
  if (kind === "search" && spec.family)
    return [el("a", { class: "button", href: links.genotype, download: `${id}.json` }, "Export genotype")];
  if (kind !== "evaluation") return [];
  const of = new URLSearchParams({ kind: "score", evaluation_id: id, family: spec.family });
  return [
    el("a", { class: "button primary", href: `#/new?${of}` }, "Score"),
    el(
      "a",
      { class: "button", href: `#/new?${new URLSearchParams({ kind: "ensemble", members: id, family: spec.family })}` },
      "Add to an ensemble",
    ),
  ];
}
