import { el, fill, scrolling } from "../lib/dom.js";
import { clock, duration } from "../lib/format.js";
import { get } from "../lib/http.js";

/** Which workers tried the job, and what ended each try. */
export class Attempts {
  constructor({ job }, signal) {
    this.base = job.links.self;
    this.signal = signal;
    this.body = el("tbody");
    this.empty = el("p", { class: "muted", hidden: true }, "No worker has taken it yet.");
    const heads = ["Attempt", "Worker", "Began", "Took", "Ended by"];
    this.table = el("table", { class: "small" }, el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, h)))), this.body);
    this.node = el(
      "section",
      { class: "panel" },
      el("header", {}, el("h2", {}, "Attempts")),
      this.empty,
      scrolling("Attempts", this.table),
    );
    this.table.parentElement.hidden = true;
  }

  update() {}

  async refresh() {
    const answer = await get(`${this.base}/attempts`, { signal: this.signal }).catch(() => null);
    if (answer === null) return; // what is shown stays
    const { items } = answer;
    this.empty.hidden = items.length > 0;
    this.table.parentElement.hidden = !items.length;
    fill(
      this.body,
      ...items.map(({ number, worker, status, end_reason: reason, started_at: from, ended_at: to }) => {
        const end = to ? Date.parse(to) : Date.now();
        const cells = [String(number), worker, clock(from), duration((end - Date.parse(from)) / 1000)];
        const why = status === "running" ? "still running" : [status, reason].filter(Boolean).join(": ");
        return el("tr", {}, ...[...cells, why].map((cell) => el("td", {}, cell)));
      }),
    );
  }
}
