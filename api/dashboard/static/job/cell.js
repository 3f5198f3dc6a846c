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
    this.told = null;
    this.widest = 0;
    this.showing = null;
    this.playing = null;
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
    // The last epoch's pictures need not wait for all the epochs.
    if (job.status === "succeeded" && job.progress?.epoch) this.show(job.progress.epoch);
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
    this.show(epoch.epoch);
    this.describe();
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

  /** Ends when an epoch's pictures are up, or could not be had, or others were asked for. */
  show(epoch) {
    if (this.asked !== epoch) {
      this.asked = epoch;
      this.showing = this.put(epoch);
    }
    return this.showing;
  }

  /** Put an epoch's pictures up once they are there: until then the ones before them stay. */
  async put(epoch) {
    try {
      const images = await Promise.all(this.cells.map((cell) => this.fetched(this.url(cell, epoch))));
      if (this.asked !== epoch) return;
      this.picture.dataset.epoch = epoch;
      this.scale(images);
      fill(this.picture, ...images);
      this.tellShown();
      this.describe();
      this.link(epoch);
      this.ahead(epoch + 1);
    } catch {
      if (this.asked === epoch) this.asked = null;
      this.tellShown();
    }
  }

  /** One scale for all epochs: a cell that needs more room than most must not move its nodes. */
  scale(images) {
    this.widest = Math.max(this.widest, ...images.map((image) => image.naturalWidth));
    for (const image of images) {
      const [width, share] = [image.naturalWidth, (100 * image.naturalWidth) / this.widest];
      image.style.width = `min(${width}px, ${share}%)`;
    }
  }

  /** What the pictures show, in words, once their epoch is known. */
  describe() {
    const shown = Number(this.picture.dataset.epoch);
    const known = this.epochs.find(({ epoch }) => epoch === shown);
    if (!known || this.told === shown) return;
    this.told = shown;
    const told = this.cells.map((cell) => `${cell} cell after epoch ${shown}: ${inWords(known.genotype, cell, this.family)}`);
    [...this.picture.children].forEach((image, index) => (image.alt = told[index]));
    fill(this.words, ...told.map((each) => el("p", {}, each)));
  }

  url(cell, epoch) {
    return `${this.base}/cells/${cell}.svg?epoch=${epoch}`;
  }

  fetched(url) {
    if (!this.pictures.has(url)) {
      // Browsers tell when an image with this attribute was painted.
      const image = el("img", { src: url, alt: "", elementtiming: "cell", fetchpriority: "high" });
      const ready = image.decode().then(() => image);
      ready.catch(() => this.pictures.delete(url));
      this.pictures.set(url, ready);
      if (this.pictures.size > MOST_KEPT) this.pictures.delete(this.pictures.keys().next().value);
    }
    return this.pictures.get(url);
  }

  /** Fetch what playing will want next. */
  ahead(epoch) {
    if (!this.playing || !this.epochs.some((each) => each.epoch === epoch)) return;
    for (const cell of this.cells) this.fetched(this.url(cell, epoch)).catch(() => {});
  }

  go(epoch) {
    this.stop();
    this.look(epoch);
  }

  toggle() {
    if (this.playing) return this.stop();
    return this.run();
  }

  /** From the epoch that is shown, or again from the first: each stays for a frame, however long it took to come. */
  async run() {
    const mine = (this.playing = {});
    text(this.play, "❚❚ Stop");
    const last = () => this.epochs.at(-1).epoch;
    const from = Number(this.slider.value);
    for (let at = from >= last() ? 1 : from; at <= last(); at += 1) {
      this.look(at);
      await this.show(at);
      await new Promise((resolve) => setTimeout(resolve, FRAME_MS));
      if (this.playing !== mine) return;
    }
    this.stop();
  }

  stop() {
    this.playing = null;
    text(this.play, "▶ Play");
  }
}
