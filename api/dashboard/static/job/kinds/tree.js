import { el, fill, scrolling, text } from "../../lib/dom.js";
import { metric } from "../../lib/format.js";
import { get } from "../../lib/http.js";
import { bestOf, share } from "../../lib/jobs.js";

/** The jobs that a study or a committee is made of, stage by stage. Events change them in place; figures are asked for. */
export class Tree {
  constructor({ job }, signal) {
    this.url = job.links.children;
    this.signal = signal;
    this.rows = new Map();
    this.body = el("tbody");
    const heads = ["Stage", "Status", "Progress", "Best"];
    const head = el("thead", {}, el("tr", {}, ...heads.map((name) => el("th", { scope: "col" }, name))));
    this.node = el(
      "section",
      { class: "panel" },
      el("header", {}, el("h2", {}, "Children")),
      scrolling("Children", el("table", { class: "small tree" }, head, this.body)),
    );
    this.refresh();
  }

  update() {}

  /** An event about one of them: what it says is shown at once, the rest with the next answer. */
  take(kind, { stage, status }) {
    if (kind !== "child") return;
    const row = this.rows.get(stage);
    if (row) row.status(status);
    this.refresh();
  }

  async refresh() {
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    const answer = await get(this.url, { signal: this.signal }).catch(() => null);
    this.asking = false;
    if (answer) this.show(answer.items);
    if (this.again) {
      this.again = false;
      this.refresh();
    }
  }

  show(children) {
    for (const child of children) {
      if (!this.rows.has(child.stage)) this.rows.set(child.stage, new Row(child));
      this.rows.get(child.stage).update(child);
    }
    if (this.body.childElementCount !== this.rows.size) fill(this.body, ...[...this.rows.values()].map(({ node }) => node));
  }
}

class Row {
  constructor({ id, stage }) {
    this.state = el("span");
    this.bar = el("progress", { max: 1, "aria-label": `progress of ${stage}` });
    this.best = el("span");
    const cells = [el("a", { href: `#/jobs/${id}` }, stage), this.state, this.bar, this.best];
    this.node = el("tr", {}, ...cells.map((cell) => el("td", {}, cell)));
  }

  status(status) {
    text(this.state, status);
    this.state.className = `status ${status}`;
  }

  update(child) {
    this.status(child.status);
    this.state.title = child.status_reason ?? "";
    this.bar.value = share(child);
    const best = bestOf(child);
    text(this.best, best ? metric(best.name, best.value) : "–");
  }
}
