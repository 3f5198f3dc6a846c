/** Shows the first steps in place of the list while the service has no job. */
import { el, notice, text } from "../lib/dom.js";
import { ago } from "../lib/format.js";
import { get, post, wordsFor } from "../lib/http.js";

const EVERY_MS = 3000;
// A job's pool and number of GPUs where it names none; a worker on the CPU counts as one.
const POOL = "default";
const GPUS = 1;
const FIRST_SEARCH = { dataset: "digits", preset: "digits", name: "first search" };
const STARTS = [
  ["Service and worker on this machine:", "./dartboard up"],
  ["Worker of a service in containers:", "docker compose up -d worker"],
  ["Worker on another machine, see docs/operations.md:", "docker compose -f docker-compose.worker.yml up -d"],
];

export class FirstSteps {
  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.signal = signal;
    // A second click or a repeated request creates no second job.
    this.key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    this.worker = el("p", { role: "status" }, "Looking for workers…");
    this.starts = el(
      "ul",
      { class: "small", hidden: true, "aria-label": "Commands that start a worker" },
      ...STARTS.map(([where, command]) => el("li", {}, el("span", { class: "muted" }, `${where} `), el("code", {}, command))),
    );
    this.search = el("button", { type: "button", class: "primary", on: { click: () => this.submit() } }, "Search a cell on digits");
    this.node = el(
      "section",
      { class: "panel first-steps", hidden: true, "aria-label": "First steps" },
      step("Workers", this.worker, this.starts),
      step(
        "Search a cell on digits, about a minute",
        el("p", { class: "muted" }, "DARTS on 8×8 images that need no download. The job's page draws the cell as it changes."),
        el("div", { class: "row" }, this.search, el("a", { class: "button", href: "#/new" }, "Choose everything yourself")),
      ),
      step(
        "Read on",
        el(
          "p",
          {},
          el("a", { href: "/docs" }, "The API, request by request"),
          "; the guides are README.md and docs/ in Dartboard's folder.",
        ),
      ),
    );
    signal.addEventListener("abort", () => clearTimeout(this.timer));
  }

  /**
   * Show or hide the steps. While shown they follow the workers, whose heartbeats are not events.
   * @param {boolean} shown
   */
  show(shown) {
    if (shown !== this.node.hidden) return;
    this.node.hidden = !shown;
    clearTimeout(this.timer);
    if (shown) this.follow();
  }

  async follow() {
    try {
      const { items } = await get("/workers", { signal: this.signal });
      const { connected, ready, words } = readiness(items);
      this.worker.className = `status ${ready ? "succeeded" : "queued"}`;
      text(this.worker, words);
      this.starts.hidden = connected;
    } catch (error) {
      if (!this.signal.aborted) text(this.worker, wordsFor(error));
    }
    if (!this.node.hidden && !this.signal.aborted) this.timer = setTimeout(() => this.follow(), EVERY_MS);
  }

  async submit() {
    this.search.disabled = true;
    try {
      const job = await post("/searches", FIRST_SEARCH, { headers: { "Idempotency-Key": this.key } });
      location.hash = `#/jobs/${job.id}`;
    } catch (error) {
      notice(wordsFor(error));
      this.search.disabled = false;
    }
  }
}

/**
 * Whether a worker is connected that takes a first job, whether it is idle, and why not.
 * @param {WorkerInfo[]} workers
 */
export function readiness(workers) {
  const alive = workers.filter((worker) => worker.alive);
  const serving = alive.filter(({ pools, gpus }) => pools.includes(POOL) && gpus === GPUS);
  const idle = serving.filter(({ job_id: job }) => !job);
  return { connected: serving.length > 0, ready: idle.length > 0, words: sentence() };

  function sentence() {
    if (idle.length) return `${names(idle)} ${idle.length > 1 ? "are" : "is"} ready.`;
    if (serving.length) return `${names(serving)} ${serving.length > 1 ? "are" : "is"} busy: a job waits for its turn.`;
    if (alive.length)
      return `${names(alive)} ${alive.length > 1 ? "take" : "takes"} no jobs of 1 GPU in the pool ${POOL}: start another worker.`;
    const last = workers
      .map((worker) => worker.last_seen)
      .sort((a, b) => Date.parse(a) - Date.parse(b))
      .at(-1);
    return last ? `No worker is connected: the last heartbeat was ${ago(last)}.` : "No worker has connected yet.";
  }
}

/** @param {WorkerInfo[]} workers */
function names(workers) {
  return workers.map(({ name }) => name).join(", ");
}

/** @param {string} title @param {Child[]} content */
function step(title, ...content) {
  return el("div", { class: "stack" }, el("h2", {}, title), ...content);
}
