/** Shows the last log lines of the job's workers and scrolls with them while the end is in view. */
import { el } from "../lib/dom.js";

const MOST_LINES = 1000;

export class Logs {
  constructor() {
    this.list = el("pre", { class: "logs", tabindex: "0", role: "region", "aria-label": "Log" });
    this.empty = el("p", { class: "muted" }, "No log lines yet.");
    this.last = 0;
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Log")), this.empty, this.list);
  }

  /** @param {JobState} state */
  update({ logs }) {
    const fresh = logs.filter(({ sequence }) => sequence > this.last);
    this.empty.hidden = logs.length > 0;
    if (!fresh.length) return;
    this.last = fresh[fresh.length - 1].sequence;
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    this.list.append(
      ...fresh.map(({ time, level, message }) =>
        el("div", { class: level }, el("time", { datetime: time }, new Date(time).toLocaleTimeString()), ` ${message}`),
      ),
    );
    while (this.list.childElementCount > MOST_LINES) this.list.firstElementChild?.remove();
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }
}
