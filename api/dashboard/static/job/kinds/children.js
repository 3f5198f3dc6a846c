/** Lists a composite job's children by stage. Events update their status; their figures are fetched. */
import { el, fill, scrolling, table, text } from "../../lib/dom.js";
import { metric } from "../../lib/format.js";
import { get } from "../../lib/http.js";
import { bestOf, share } from "../../lib/jobs.js";

export class Children {
  /** @param {JobState} state @param {AbortSignal} signal */
  constructor({ job }, signal) {
    this.url = job.links.children;
    this.signal = signal;
    /** @type {Map<string | null | undefined, Row>} */
    this.rows = new Map();
    this.loading = false;
    this.stale = false;
    this.body = el("tbody");
    const children = table(["Stage", "Status", "Progress", "Best"], this.body, { class: "small children" });
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Children")), scrolling("Children", children));
    this.refresh();
  }

  update() {}

  /**
   * Show a child's new status at once and the rest with the next answer.
   * @param {JobEvent} event
   */
  take({ kind, data }) {
    if (kind !== "child") return;
    this.rows.get(data.stage)?.setStatus(data.status);
    this.refresh();
  }

  /** Fetch the children; a call while a request is under way repeats it afterwards. */
  async refresh() {
    this.stale = true;
    if (this.loading || !this.url) return;
    this.loading = true;
    while (this.stale) {
      this.stale = false;
      const answer = await get(this.url, { signal: this.signal }).catch(() => null);
      if (answer) this.show(answer.items);
    }
    this.loading = false;
  }

  /** @param {Job[]} children */
  show(children) {
    for (const child of children) {
      const row = this.rows.get(child.stage) ?? new Row(child);
      this.rows.set(child.stage, row);
      row.update(child);
    }
    if (this.body.childElementCount !== this.rows.size) fill(this.body, ...[...this.rows.values()].map(({ node }) => node));
  }
}

class Row {
  /** @param {Job} child */
  constructor({ id, stage }) {
    this.status = el("span");
    this.bar = el("progress", { max: 1, "aria-label": `progress of ${stage}` });
    this.best = el("span");
    const cells = [el("a", { href: `#/jobs/${id}` }, stage), this.status, this.bar, this.best];
    this.node = el("tr", {}, ...cells.map((cell) => el("td", {}, cell)));
  }

  /** @param {Status} status */
  setStatus(status) {
    text(this.status, status);
    this.status.className = `status ${status}`;
  }

  /** @param {Job} child */
  update(child) {
    this.setStatus(child.status);
    this.status.title = child.status_reason ?? "";
    this.bar.value = share(child);
    const best = bestOf(child);
    text(this.best, best ? metric(best.name, best.value) : "–");
  }
}
