/** Offers names and ids for fields that refer to something: data sets, jobs and uploaded checkpoints. */
import { stateOf } from "../lib/datasets.js";
import { el, fill } from "../lib/dom.js";
import { page } from "../lib/http.js";
import { title } from "../lib/jobs.js";

const MOST = 50;
/** @type {Record<string, { path: Collection | "/checkpoints", status?: string }>} */
const SOURCES = {
  job: { path: "/jobs" },
  search_id: { path: "/searches" },
  evaluation_id: { path: "/evaluations", status: "succeeded" },
  score_id: { path: "/scores", status: "succeeded" },
  checkpoint_id: { path: "/checkpoints" },
};

export class Lists {
  /** @param {Dataset[]} datasets @param {AbortSignal} signal */
  constructor(datasets, signal) {
    this.signal = signal;
    this.loaded = new Set();
    /** @type {Map<string, HTMLElement>} */
    this.lists = new Map();
    this.node = el("div", { hidden: true });
    for (const name of ["dataset", ...Object.keys(SOURCES)]) {
      this.lists.set(name, this.node.appendChild(el("datalist", { id: `list-${name}` })));
    }
    this.show(
      "dataset",
      datasets.map((set) => el("option", { value: set.name }, stateOf(set))),
    );
  }

  /**
   * Whether there is a list for fields of this name.
   * @param {string} name
   */
  has(name) {
    return this.lists.has(name);
  }

  /**
   * Offer a list in an input. It is loaded when the input gets the focus.
   * @param {string} name
   * @param {HTMLElement} input
   */
  offer(name, input) {
    input.setAttribute("list", `list-${name}`);
    input.addEventListener("focus", () => this.load(name));
  }

  /** @param {string} name @param {Child[]} options */
  show(name, options) {
    const list = this.lists.get(name);
    if (list) fill(list, ...options);
  }

  /** @param {string} name */
  async load(name) {
    if (!(name in SOURCES) || this.loaded.has(name)) return;
    this.loaded.add(name);
    const { path, status } = SOURCES[name];
    try {
      const { items } = await page(path, { status }, { limit: MOST, signal: this.signal });
      this.show(
        name,
        items.map((each) => el("option", { value: each.id }, "spec" in each ? title(each) : each.name)),
      );
    } catch {
      this.loaded.delete(name); // the next focus tries again
    }
  }
}
