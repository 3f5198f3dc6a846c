/** Lists an evaluation's checkpoints, to download here or with curl. */
import { el, fill } from "../../lib/dom.js";
import { bytes, clock, metric, words } from "../../lib/format.js";
import { get } from "../../lib/http.js";
import { command, curl } from "./curl.js";

export class Checkpoints {
  /** @param {JobState} state @param {AbortSignal} signal */
  constructor({ job }, signal) {
    this.base = job.links.self;
    this.signal = signal;
    this.best = job.best?.epoch;
    this.list = el("div", { class: "stack" });
    this.node = el("section", { class: "panel" }, el("header", {}, el("h2", {}, "Checkpoints")), this.list);
    this.refresh();
  }

  /** @param {JobState} state */
  update({ job }) {
    this.best = job.best?.epoch;
  }

  /** @param {JobEvent} event */
  take({ kind }) {
    if (kind === "checkpoint" || kind === "status") this.refresh();
  }

  async refresh() {
    const answer = await get(`${this.base}/checkpoints`, { signal: this.signal }).catch(() => null);
    if (!answer) return; // the list stays as it is
    if (answer.items.length) fill(this.list, ...answer.items.map((each, index) => this.one(each, index === 0)));
    else fill(this.list, el("p", { class: "muted" }, "None yet: the first epoch saves one."));
  }

  /** @param {Checkpoint} checkpoint @param {boolean} latest */
  one({ epoch, download, size, sha256, metrics, created_at: created }, latest) {
    const roles = [epoch === this.best && "best", latest && "last"].filter(Boolean).join(", ");
    const name = ["validation_accuracy", "validation_perplexity"].find((each) => each in metrics);
    const about = [bytes(size), name && `${words(name)} ${metric(name, metrics[name])}`, clock(created)];
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
        el("a", { class: "button", href: `${download}?format=pytorch`, download: "" }, "PyTorch module"),
      ),
      curl(download),
      latest ? inPython(this.base.split("/").at(-1), epoch) : null,
      el("p", { class: "hint mono" }, `sha256 ${sha256}`),
    );
  }
}

/**
 * How to load the checkpoint of an epoch in Python.
 * @param {string | undefined} job its id
 * @param {number} epoch
 */
function inPython(job, epoch) {
  const lines = [
    "import dartboard",
    "",
    `with dartboard.Dartboard("${location.origin}") as db:`,
    `    file = db.download_checkpoint("${job}", ".", epoch="${epoch}")`,
    "network = dartboard.load(file)",
  ];
  return el("details", {}, el("summary", {}, "In Python"), command(lines.join("\n"), "the Python lines"));
}
