/** Shows the pictures of a search's cells at any epoch, with a slider and a button that plays the epochs. */

import { cellsOf, inWords, layoutOf, named } from "../lib/cells.js";
import { el, fill, text } from "../lib/dom.js";
import { metric, words } from "../lib/format.js";

const FRAME_MS = 350;
const MOST_KEPT = 120;

export class Cell {
  /** @param {JobState} state @param {AbortSignal} signal @param {SelectEpoch} select */
  constructor({ job }, signal, select) {
    this.layout = layoutOf(job.spec);
    this.base = job.links.self;
    this.select = select;
    this.cells = cellsOf(this.layout);
    /** @type {Epoch[]} */
    this.epochs = [];
    /** @type {Map<string, Promise<HTMLImageElement>>} */
    this.pictures = new Map();
    /** The epoch whose pictures are shown or loading. @type {number | null} */
    this.wanted = null;
    /** @type {number | null} */
    this.described = null;
    this.widest = 0;
    /** @type {Promise<void> | null} */
    this.showing = null;
    /** @type {object | null} */
    this.playing = null;
    /** The first pictures are shown or failed. @type {PromiseWithResolvers<void>} */
    this.first = Promise.withResolvers();
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

  /** @param {JobState} state */
  update(state) {
    this.epochs = state.epochs;
    const latest = this.epochs.at(-1);
    if (!latest) return;
    const last = latest.epoch;
    const at = state.at ?? last;
    this.slider.disabled = this.play.disabled = false;
    this.slider.max = String(last);
    if (Number(this.slider.value) !== at) this.slider.value = String(at);
    const epoch = this.epochs.find((each) => each.epoch === at) ?? latest;
    text(this.where, state.at === null ? `epoch ${at} (latest)` : `epoch ${at} of ${last}`);
    const name = ["validation_accuracy", "validation_perplexity"].find((each) => each in epoch.metrics);
    const score = name ? `, ${words(name)} ${metric(name, epoch.metrics[name])}` : "";
    this.slider.setAttribute("aria-valuetext", `epoch ${at} of ${last}${score}`);
    this.show(epoch.epoch);
    this.describe();
  }

  /** @param {number} epoch */
  link(epoch) {
    /** @param {string} format */
    const genotype = (format) => `${this.base}/genotype?epoch=${epoch}&format=${format}`;
    fill(
      this.links,
      el("a", { href: genotype("python") }, "Python"),
      el("a", { href: genotype("json") }, "JSON"),
      el("a", { href: genotype("svg") }, "SVG"),
      el("a", { href: `${this.base}/progress.gif` }, "Animation (GIF)"),
    );
  }

  /**
   * Show an epoch's pictures. Resolves when they are shown, could not be loaded or are no longer wanted.
   * @param {number} epoch
   */
  show(epoch) {
    if (this.wanted !== epoch) {
      this.wanted = epoch;
      this.showing = this.put(epoch);
    }
    return this.showing;
  }

  /**
   * Replace the pictures once those of the epoch are loaded.
   * @param {number} epoch
   */
  async put(epoch) {
    try {
      const images = await Promise.all(this.cells.map((cell) => this.fetched(this.url(cell, epoch))));
      if (this.wanted !== epoch) return;
      this.picture.dataset.epoch = String(epoch);
      this.scale(images);
      fill(this.picture, ...images);
      this.first.resolve();
      this.describe();
      this.link(epoch);
      this.preload(epoch + 1);
    } catch {
      if (this.wanted === epoch) this.wanted = null;
      this.first.resolve();
    }
  }

  /**
   * Use one scale for all epochs, so that the nodes of cells of different width keep their size.
   * @param {HTMLImageElement[]} images
   */
  scale(images) {
    this.widest = Math.max(this.widest, ...images.map((image) => image.naturalWidth));
    for (const image of images) {
      const [width, share] = [image.naturalWidth, (100 * image.naturalWidth) / this.widest];
      image.style.width = `min(${width}px, ${share}%)`;
    }
  }

  /** Describe the pictures in words once the data of their epoch is known. */
  describe() {
    const shown = Number(this.picture.dataset.epoch);
    const known = this.epochs.find(({ epoch }) => epoch === shown);
    if (!known || this.described === shown) return;
    this.described = shown;
    const words = this.cells.map((cell) => `${named(cell)} after epoch ${shown}: ${inWords(known.genotype, cell, this.layout)}`);
    [...this.picture.children].forEach((image, index) => {
      image.setAttribute("alt", words[index]);
    });
    fill(this.words, ...words.map((each) => el("p", {}, each)));
  }

  /** @param {string} cell @param {number} epoch */
  url(cell, epoch) {
    return `${this.base}/cells/${cell}.svg?epoch=${epoch}`;
  }

  /**
   * The loaded picture of a URL, from a cache of the latest ones.
   * @param {string} url
   */
  fetched(url) {
    let ready = this.pictures.get(url);
    if (!ready) {
      // elementtiming: performance entries show when the picture was painted.
      const image = el("img", { src: url, alt: "", elementtiming: "cell", fetchpriority: "high" });
      ready = image.decode().then(() => image);
      ready.catch(() => this.pictures.delete(url));
      this.pictures.set(url, ready);
      if (this.pictures.size > MOST_KEPT) this.pictures.delete([...this.pictures.keys()][0]);
    }
    return ready;
  }

  /**
   * Load the next pictures while playing.
   * @param {number} epoch
   */
  preload(epoch) {
    if (!this.playing || !this.epochs.some((each) => each.epoch === epoch)) return;
    for (const cell of this.cells) this.fetched(this.url(cell, epoch)).catch(() => {});
  }

  /** @param {number} epoch */
  go(epoch) {
    this.stop();
    this.select(epoch);
  }

  toggle() {
    if (this.playing) this.stop();
    else this.run();
  }

  /** Play from the shown epoch, or from the first after the last: each loaded epoch stays for a frame. */
  async run() {
    const mine = {};
    this.playing = mine;
    text(this.play, "❚❚ Stop");
    const last = () => this.epochs.at(-1)?.epoch ?? 0;
    const from = Number(this.slider.value);
    for (let at = from >= last() ? 1 : from; at <= last(); at += 1) {
      this.select(at);
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
