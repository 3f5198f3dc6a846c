import { el, fill } from "../lib/dom.js";
import { page } from "../lib/http.js";
import { title } from "../lib/jobs.js";

const MOST = 50;
const SOURCES = {
  search_id: { path: "/searches" },
  evaluation_id: { path: "/evaluations", status: "succeeded" },
  score_id: { path: "/scores", status: "succeeded" },
  checkpoint_id: { path: "/checkpoints" },
};

/** What can be chosen for a field that names something else: data sets, and by their ids jobs and uploaded files. */
export class Lists {
  constructor(datasets, signal) {
    this.signal = signal;
    this.asked = new Set();
    this.named = new Map();
    this.node = el("div", { hidden: true });
    for (const name of ["dataset", ...Object.keys(SOURCES)]) {
      this.named.set(name, this.node.appendChild(el("datalist", { id: `list-${name}` })));
    }
    fill(this.named.get("dataset"), ...datasets.map(({ name }) => el("option", { value: name })));
  }

  /** Whether there is one for fields of this name. */
  has(name) {
    return this.named.has(name);
  }

  /** Offer it in this input; what the service has to be asked for is asked for when somebody goes there. */
  offer(name, input) {
    input.setAttribute("list", this.named.get(name).id);
    input.addEventListener("focus", () => this.load(name));
  }

  async load(name) {
    if (!(name in SOURCES) || this.asked.has(name)) return;
    this.asked.add(name);
    const { path, status } = SOURCES[name];
    try {
      const { items } = await page(path, { status }, { limit: MOST, signal: this.signal });
      fill(this.named.get(name), ...items.map((each) => el("option", { value: each.id }, each.spec ? title(each) : each.name)));
    } catch {
      this.asked.delete(name); // it can be typed all the same
    }
  }
}
