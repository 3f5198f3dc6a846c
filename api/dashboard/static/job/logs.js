import { el } from "../lib/dom.js";

/** The last lines that the job's workers logged; it follows its end unless somebody has scrolled up. */
export class Logs {
  constructor() {
    this.list = el("pre", { class: "logs", tabindex: "0", role: "region", "aria-label": "Log" });
    this.empty = el("p", { class: "muted" }, "Nothing was logged yet.");
    this.last = 0;
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Log")), this.empty, this.list);
  }

  update({ logs }) {
    const fresh = logs.filter(({ sequence }) => sequence > this.last);
    this.empty.hidden = logs.length > 0;
    if (!fresh.length) return;
    this.last = fresh.at(-1).sequence;
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    this.list.append(
      ...fresh.map(({ time, level, message }) =>
        el("div", { class: level }, el("time", { datetime: time }, new Date(time).toLocaleTimeString()), ` ${message}`),
      ),
    );
    while (this.list.childElementCount > 1000) this.list.firstChild.remove();
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }
}
