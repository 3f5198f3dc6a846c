import { el, fill, text } from "../lib/dom.js";
import { cellsOf, inWords } from "../lib/cells.js";
import { metric, words } from "../lib/format.js";

const FRAME_MS = 350;
const MOST_KEPT = 120;

/** The pictures of the cells at any epoch, with a slider through them and a button that plays them. */
export class Cell {
  constructor({ job }, signal, look) {
    this.family = job.spec.family;
    this.base = job.links.self;
    this.look = look;
    this.cells = cellsOf(this.family);
    this.epochs = [];
    this.pictures = new Map();
    this.asked = null;
    this.timer = null;
    this.shown = new Promise((resolve) => (this.tellShown = resolve));
    this.picture = el("div", { class: "pictures" }, el("p", { class: "muted" }, "The cell appears when the first epoch has ended."));
    this.slider = el("input", { type: "range", min: 1, max: 1, value: 1, disabled: true, "aria-label": "Epoch" });
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.play = el("button", { type: "button", disabled: true, on: { click: () => this.toggle() } }, "▶ Play");
    this.where = el("output", { class: "small" }, "no epoch yet");
    this.words = el("div", { class: "small" });
    this.links = el("div", { class: "row small" });
    signal.addEventListener("abort", () => this.stop());
    this.node = el(
      "section",
      { class: "panel cell", "aria-labelledby": "cell-title" },
      el("header", {}, el("h2", { id: "cell-title" }, "Cell"), this.links),
      el("div", { class: "slider" }, this.play, this.slider, this.where),
      this.picture,
      el("details", { class: "small" }, el("summary", {}, "The cell in words"), this.words),
    );
  }

  update(state) {
    this.epochs = state.epochs;
    if (!this.epochs.length) return;
    const last = this.epochs.at(-1).epoch;
    const at = state.at ?? last;
    this.slider.disabled = this.play.disabled = false;
    this.slider.max = last;
    if (Number(this.slider.value) !== at) this.slider.value = at;
    const epoch = this.epochs.find((each) => each.epoch === at) ?? this.epochs.at(-1);
    text(this.where, state.at === null ? `epoch ${at} (latest)` : `epoch ${at} of ${last}`);
    const name = ["validation_accuracy", "validation_perplexity"].find((each) => each in epoch.metrics);
    const score = name ? `, ${words(name)} ${metric(name, epoch.metrics[name])}` : "";
    this.slider.setAttribute("aria-valuetext", `epoch ${at} of ${last}${score}`);
    this.show(epoch);
  }

  link(epoch) {
    const genotype = (format) => `${this.base}/genotype?epoch=${epoch}&format=${format}`;
    fill(
      this.links,
      el("a", { href: genotype("python") }, "Python"),
      el("a", { href: genotype("json") }, "JSON"),
      el("a", { href: genotype("svg") }, "SVG"),
      el("a", { href: `${this.base}/progress.gif` }, "Animation (GIF)"),
    );
  }

  /** Put an epoch's pictures up once they are there: until then the ones before them stay. */
  async show({ epoch, genotype }) {
    if (this.asked === epoch) return;
    this.asked = epoch;
    const told = this.cells.map((cell) => `${cell} cell after epoch ${epoch}: ${inWords(genotype, cell, this.family)}`);
    try {
      const images = await Promise.all(this.cells.map((cell) => this.fetched(this.url(cell, epoch))));
      if (this.asked !== epoch) return;
      images.forEach((image, index) => (image.alt = told[index]));
      this.picture.dataset.epoch = epoch;
      fill(this.picture, ...images);
      // Two frames later they are on the screen.
      requestAnimationFrame(() => requestAnimationFrame(this.tellShown));
      fill(this.words, ...told.map((each) => el("p", {}, each)));
      this.link(epoch);
      this.ahead(epoch + 1);
    } catch {
      if (this.asked === epoch) this.asked = null;
    }
  }

  url(cell, epoch) {
    return `${this.base}/cells/${cell}.svg?epoch=${epoch}`;
  }

  fetched(url) {
    if (!this.pictures.has(url)) {
      const image = el("img", { src: url });
      const ready = image.decode().then(() => image);
      ready.catch(() => this.pictures.delete(url));
      this.pictures.set(url, ready);
      if (this.pictures.size > MOST_KEPT) this.pictures.delete(this.pictures.keys().next().value);
    }
    return this.pictures.get(url);
  }

  /** Fetch what playing will want next. */
  ahead(epoch) {
    if (this.timer === null || !this.epochs.some((each) => each.epoch === epoch)) return;
    for (const cell of this.cells) this.fetched(this.url(cell, epoch)).catch(() => {});
  }

  go(epoch) {
    this.stop();
    this.look(epoch);
  }

  toggle() {
    if (this.timer !== null) return this.stop();
    const last = this.epochs.at(-1).epoch;
    let at = Number(this.slider.value) >= last ? 1 : Number(this.slider.value);
    this.look(at);
    this.timer = setInterval(() => {
      at += 1;
      this.look(at);
      if (at >= this.epochs.at(-1).epoch) this.stop();
    }, FRAME_MS);
    text(this.play, "❚❚ Stop");
    return undefined;
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    text(this.play, "▶ Play");
  }
}
