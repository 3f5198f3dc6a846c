import { el, fill } from "../../lib/dom.js";
import { bytes, clock, metric } from "../../lib/format.js";
import { get } from "../../lib/http.js";
import { curl } from "./curl.js";

/** The files that an evaluation keeps, to download here or with curl. */
export class Checkpoints {
  constructor({ job }, signal) {
    this.base = job.links.self;
    this.signal = signal;
    this.list = el("div", { class: "stack" });
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Checkpoints")), this.list);
    this.refresh();
  }

  update({ job }) {
    this.best = job.best?.epoch;
  }

  take(kind) {
    if (kind === "checkpoint" || kind === "status") this.refresh();
  }

  async refresh() {
    let items = [];
    try {
      ({ items } = await get(`${this.base}/checkpoints`, { signal: this.signal }));
    } catch {
      return; // what is shown stays
    }
    if (!items.length) return void fill(this.list, el("p", { class: "muted" }, "None yet: the first epoch brings one."));
    fill(this.list, ...items.map((each, index) => this.one(each, index === 0)));
  }

  one({ epoch, download, size, sha256, metrics, created_at: made }, latest) {
    const roles = [epoch === this.best && "best", latest && "last"].filter(Boolean).join(", ");
    const accuracy = ["validation_accuracy", "validation_perplexity"].find((name) => name in metrics);
    const about = [bytes(size), accuracy && `${accuracy.replace("_", " ")} ${metric(accuracy, metrics[accuracy])}`, clock(made)];
    return el(
      "div",
      { class: "stack" },
      el(
        "div",
        { class: "row" },
        el("strong", {}, `Epoch ${epoch}`),
        roles ? el("span", { class: "tag" }, roles) : null,
        el("span", { class: "muted small" }, about.filter(Boolean).join(" · ")),
        el("a", { class: "button", href: download, download: "" }, "Download", el("span", { class: "unseen" }, ` epoch ${epoch}`)),
        el("a", { class: "button", href: `${download}?format=safetensors`, download: "" }, "safetensors"),
      ),
      curl(download),
      el("p", { class: "hint mono" }, `sha256 ${sha256}`),
    );
  }
}
