/** Says why a queued job waits: its place, the jobs before it, and those that have the workers. */
import { el, fill } from "../lib/dom.js";
import { MOST, nameOf, placeIn, queueOf, slotOf } from "../lib/queue.js";

const PAUSE_MS = 5000;
const SHOWN = 5;

export class QueuePlace {
  /** @param {JobState} state @param {AbortSignal} signal */
  constructor({ job }, signal) {
    this.job = job;
    this.signal = signal;
    this.node = el("section", { class: "panel stack", hidden: true, "aria-label": "Queue" });
    const clock = setInterval(() => this.refresh(), PAUSE_MS);
    signal.addEventListener("abort", () => clearInterval(clock));
  }

  /** @param {JobState} state */
  update({ job }) {
    const began = job.status === "queued" && this.node.hidden;
    this.job = job;
    this.node.hidden = job.status !== "queued";
    if (began) this.refresh();
  }

  async refresh() {
    if (this.node.hidden || document.hidden) return;
    try {
      this.show(await queueOf(slotOf(this.job), this.signal));
    } catch {
      // The service is away: the next round asks again.
    }
  }

  /** @param {Queue} queue */
  show(queue) {
    const found = placeIn(queue, this.job.id);
    const { pool, gpus, status_reason: reason } = this.job;
    const of = `the queue of pool ${pool}${gpus > 1 ? ` for ${gpus} GPUs` : ""}`;
    const behind = queue.queued.length >= MOST ? `It is behind the first ${MOST} jobs of ${of}.` : `It does not wait in ${of} now.`;
    fill(
      this.node,
      el("h2", {}, found ? `Place ${found.place} in ${of}` : "Waiting"),
      reason ? el("p", {}, reason) : null,
      found || reason ? null : el("p", {}, behind),
      listed("Before it", found?.before ?? []),
      listed("Running now", queue.running),
    );
  }
}

/** @param {string} heading @param {(JobOfQueue & { progress?: Job["progress"] })[]} jobs */
function listed(heading, jobs) {
  if (!jobs.length) return null;
  const items = jobs.slice(0, SHOWN).map((job) => {
    const at = job.progress ? `epoch ${job.progress.epoch} of ${job.progress.epochs}` : `priority ${job.priority}`;
    const about = [job.owner, at].filter(Boolean).join(", ");
    return el("li", {}, el("a", { href: `#/jobs/${job.id}` }, nameOf(job)), el("span", { class: "muted small" }, ` ${about}`));
  });
  const rest = jobs.length - SHOWN;
  return el("div", {}, el("h3", {}, heading), el("ol", {}, ...items), rest > 0 ? el("p", { class: "muted" }, `and ${rest} more`) : null);
}
