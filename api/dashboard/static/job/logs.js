/** Shows the last log lines of the job's workers, searches and saves them, and scrolls with them while the end is in view. */
import { el, notice, save, text } from "../lib/dom.js";
import { shortId } from "../lib/format.js";
import { get, wordsFor } from "../lib/http.js";

const MOST_LINES = 1000;
// The service gives no more of them at once.
const MOST_SAVED = 10_000;

export class Logs {
  /** @param {JobState} state */
  constructor({ job }) {
    this.job = job;
    this.list = el("pre", { class: "logs", tabindex: "0", role: "region", "aria-label": "Log" });
    this.empty = el("p", { class: "muted" }, "No log lines yet.");
    this.search = el("input", { type: "search", placeholder: "words in a line", "aria-label": "Search the log" });
    this.search.addEventListener("input", () => this.filter());
    this.hits = el("span", { class: "muted small", role: "status" });
    const download = el("button", { type: "button", on: { click: () => this.download() } }, "Download");
    this.tools = el("div", { class: "row log-tools", hidden: true }, this.hits, this.search, download);
    this.last = 0;
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Log"), this.tools), this.empty, this.list);
  }

  /** @param {JobState} state */
  update({ logs }) {
    const fresh = logs.filter(({ sequence }) => sequence > this.last);
    this.empty.hidden = logs.length > 0;
    this.tools.hidden = !logs.length;
    if (!fresh.length) return;
    this.last = fresh[fresh.length - 1].sequence;
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    this.list.append(
      ...fresh.map(({ time, level, message }) =>
        el("div", { class: level }, el("time", { datetime: time }, new Date(time).toLocaleTimeString()), ` ${message}`),
      ),
    );
    while (this.list.childElementCount > MOST_LINES) this.list.firstElementChild?.remove();
    this.filter();
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  /** Hide the lines without what is searched, and count the others. */
  filter() {
    const wanted = this.search.value.trim().toLowerCase();
    const lines = /** @type {HTMLElement[]} */ ([...this.list.children]);
    for (const line of lines) line.hidden = !line.textContent?.toLowerCase().includes(wanted);
    const hits = lines.filter(({ hidden }) => !hidden).length;
    text(this.hits, wanted ? `${hits} of ${lines.length} lines` : "");
  }

  async download() {
    try {
      const { items } = await get(`${this.job.links.self}/logs?tail=${MOST_SAVED}`);
      const lines = items.map(({ time, level, message }) => `${time} ${level} ${message}\n`);
      save(`${shortId(this.job.id)}.log`, "text/plain", lines.join(""));
    } catch (error) {
      notice(wordsFor(error));
    }
  }
}
