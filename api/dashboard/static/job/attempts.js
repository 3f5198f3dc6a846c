/** Lists the job's attempts: their workers, times and ends. */
import { el, fill, scrolling, table } from "../lib/dom.js";
import { clock, duration, secondsBetween } from "../lib/format.js";
import { get } from "../lib/http.js";

export class Attempts {
  /** @param {JobState} state @param {AbortSignal} signal */
  constructor({ job }, signal) {
    this.base = job.links.self;
    this.error = job.error;
    this.signal = signal;
    this.body = el("tbody");
    this.empty = el("p", { class: "muted", hidden: true }, "No worker has claimed the job yet.");
    this.list = scrolling("Attempts", table(["Attempt", "Worker", "Started", "Duration", "Ended by"], this.body));
    this.list.hidden = true;
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Attempts")), this.empty, this.list);
  }

  /** @param {JobState} state */
  update({ job }) {
    this.error = job.error;
  }

  async refresh() {
    const answer = await get(`${this.base}/attempts`, { signal: this.signal }).catch(() => null);
    if (answer === null) return; // the list stays as it is
    this.empty.hidden = answer.items.length > 0;
    this.list.hidden = !answer.items.length;
    fill(this.body, ...answer.items.map((attempt) => row(attempt, this.error)));
  }
}

/** @param {Attempt} attempt @param {Job["error"]} error */
function row({ number, worker, status, end_reason: reason, started_at: start, ended_at: end }, error) {
  // The page's head has the cause of the failure.
  const told = error && reason?.includes(error.message.slice(0, 100)) ? "as shown above" : reason;
  const why = status === "running" ? "still running" : [status, told].filter(Boolean).join(": ");
  const cells = [String(number), worker, clock(start), duration(secondsBetween(start, end)), why];
  return el("tr", {}, ...cells.map((cell) => el("td", {}, cell)));
}
