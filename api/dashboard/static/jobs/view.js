/** Lists all jobs. One event stream keeps the rows current and brings new jobs. */
import { batched, el, fill, scrolling, text } from "../lib/dom.js";
import { get, page, wordsFor } from "../lib/http.js";
import { apply } from "../lib/jobs.js";
import { follow } from "../lib/live.js";
import { remember } from "../lib/router.js";
import { filters } from "./filters.js";
import { found, sorted, wanted } from "./order.js";
import { Row } from "./row.js";

const COLUMNS = { status: "Status", name: "Job", progress: "Progress", best: "Best", created: "Created" };
const DESCENDING_FIRST = new Set(["progress", "best", "created"]);
const MOST_COMPARED = 6;

/** @type {View} */
export function jobsView(main, { query }, signal) {
  /** @type {Map<string, Row>} */
  const rows = new Map();
  /** @type {Set<string>} */
  const fetching = new Set();
  /** @type {Set<string>} */
  const selected = new Set();
  /** @type {string | null} */
  let cursor = null;
  let loads = 0;

  const summary = el("p", { class: "muted" }, "Loading…");
  const body = el("tbody");
  const heads = Object.entries(COLUMNS).map(([by, label]) => head(by, label));
  const table = el(
    "table",
    { class: "jobs cards" },
    el("caption", { class: "unseen" }, "Jobs"),
    el("thead", {}, el("tr", {}, ...heads, el("th", { class: "select" }, el("span", { class: "unseen" }, "Compare")))),
    body,
  );
  const more = el("button", { type: "button", hidden: true, on: { click: () => load(cursor) } }, "Load older jobs");
  const compare = el("a", { class: "button primary" });
  const bar = el("div", { class: "floating row", hidden: true }, compare);
  const paint = batched(show, signal);

  fill(
    main,
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, "Jobs"), summary),
      el("a", { class: "button primary", href: "#/new" }, "New job"),
    ),
    filters(query, change),
    scrolling("All jobs", table),
    el("div", { class: "row" }, more),
    bar,
  );
  const clock = setInterval(() => {
    for (const row of rows.values()) row.tick();
  }, 30_000);
  signal.addEventListener("abort", () => clearInterval(clock));
  follow("/events?active=true", { onEvent: take, signal });
  load();

  /** @param {string | null} from a cursor; null for the newest jobs */
  async function load(from = null) {
    const mine = ++loads;
    try {
      const { items, next_cursor } = await page("/jobs", serverFilters(), { cursor: from, signal });
      if (mine !== loads) return;
      if (from === null) drop((job) => !items.some(({ id }) => id === job.id) && job.id > (items.at(-1)?.id ?? ""));
      items.forEach(put);
      if (from !== null || cursor === null || rows.size <= items.length) cursor = next_cursor;
      paint();
    } catch (error) {
      if (!signal.aborted) text(summary, wordsFor(error));
    }
  }

  /**
   * Apply an event. `ready` means that the stream has started: the list as of now holds all changes before it.
   * @param {JobEvent} event
   */
  function take(event) {
    const { kind, job_id: id, sequence } = event;
    if (kind === "ready") return void load();
    const row = rows.get(id);
    if (!row) return void (kind === "status" && refresh(id));
    if (kind === "end" || sequence <= row.job.last_sequence) return;
    row.job.last_sequence = sequence;
    if (apply(row.job, event)) refresh(id);
    row.update();
    paint();
  }

  /**
   * Fetch a job; further calls while the request is under way do nothing.
   * @param {string} id
   */
  async function refresh(id) {
    if (fetching.has(id)) return;
    fetching.add(id);
    try {
      const job = await get(`/jobs/${id}`, { signal });
      if (wanted(job, serverFilters())) put(job);
      else drop((each) => each.id === id);
      paint();
    } catch {
      // The job was deleted, or the service is away: the list is loaded again when the stream is back.
    } finally {
      fetching.delete(id);
    }
  }

  /** @param {Job} job */
  function put(job) {
    const row = rows.get(job.id);
    if (!row) rows.set(job.id, new Row(job, select));
    else if (job.last_sequence >= row.job.last_sequence) {
      row.job = job;
      row.update();
    }
  }

  /** @param {(job: Job) => boolean} which */
  function drop(which) {
    for (const [id, row] of rows) if (which(row.job)) rows.delete(id);
  }

  function show() {
    const by = query.get("sort") ?? "created";
    const descending = query.get("order") !== "ascending";
    const search = query.get("search") ?? "";
    const jobs = [...rows.values()].map(({ job }) => job);
    const shown = sorted(search ? jobs.filter((job) => found(job, search)) : jobs, by, descending);
    const nodes = shown.flatMap(({ id }) => rows.get(id)?.node ?? []);
    if (nodes.length !== body.childElementCount || nodes.some((node, at) => body.children[at] !== node)) {
      body.replaceChildren(...nodes);
    }
    for (const column of heads) {
      if (column.dataset.by === by) column.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else column.removeAttribute("aria-sort");
    }
    more.hidden = cursor === null;
    const running = jobs.filter(({ status }) => status === "running").length;
    const queued = jobs.filter(({ status }) => status === "queued").length;
    const hidden = jobs.length - shown.length;
    const parts = [`${running} running`, `${queued} queued`, `${shown.length} shown`];
    if (hidden) parts.push(`${hidden} hidden by the search`);
    if (cursor) parts.push("older jobs are not loaded");
    text(summary, jobs.length || cursor ? parts.join(" · ") : "No jobs yet. Create one here, or POST one to /searches.");
  }

  /** @param {string} by @param {string} label */
  function head(by, label) {
    const button = el("button", { type: "button", class: "plain" }, label);
    button.addEventListener("click", () => {
      const same = (query.get("sort") ?? "created") === by;
      const descending = same ? query.get("order") === "ascending" : DESCENDING_FIRST.has(by);
      query.set("sort", by);
      query.set("order", descending ? "descending" : "ascending");
      remember(query);
      show();
    });
    return el("th", { scope: "col", "data-by": by }, button);
  }

  /** @param {string} name @param {string} value */
  function change(name, value) {
    query.set(name, value);
    remember(query);
    if (name === "search") return show();
    rows.clear();
    cursor = null;
    load();
  }

  function serverFilters() {
    return { kind: query.get("kind"), status: query.get("status"), label: query.get("label") };
  }

  /** @param {string} id @param {boolean} on */
  function select(id, on) {
    if (on) selected.add(id);
    else selected.delete(id);
    bar.hidden = selected.size < 2;
    const many = selected.size > MOST_COMPARED;
    text(compare, many ? `Compare at most ${MOST_COMPARED} jobs` : `Compare ${selected.size} jobs`);
    if (many) compare.removeAttribute("href");
    else compare.href = `#/compare?ids=${[...selected].join(",")}`;
  }
}
