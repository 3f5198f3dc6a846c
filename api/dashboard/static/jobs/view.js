import { batched, el, fill, scrolling, text } from "../lib/dom.js";
import { get, page, wordsFor } from "../lib/http.js";
import { apply } from "../lib/jobs.js";
import { follow } from "../lib/live.js";
import { remember } from "../lib/router.js";
import { filters } from "./filters.js";
import { found, sorted, wanted } from "./order.js";
import { Row } from "./row.js";

const COLUMNS = { status: "Status", name: "Job", progress: "Progress", best: "Best", made: "Made" };
const MOST_COMPARED = 6;

/** All jobs: one stream keeps every row current, and new jobs come by themselves. */
export function jobsView(main, { query }, signal) {
  const rows = new Map();
  const asked = new Set();
  const selected = new Set();
  let cursor = null;
  let asking = 0;

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
  const clock = setInterval(() => rows.forEach((row) => row.tick()), 30_000);
  signal.addEventListener("abort", () => clearInterval(clock));
  follow("/events?active=true", { onEvent: take, signal });
  load();

  async function load(from = null) {
    const mine = ++asking;
    try {
      const { items, next_cursor } = await page("/jobs", server(), { cursor: from, signal });
      if (mine !== asking) return;
      if (from === null) drop((job) => !items.some(({ id }) => id === job.id) && job.id > (items.at(-1)?.id ?? ""));
      items.forEach(put);
      if (from !== null || cursor === null || rows.size <= items.length) cursor = next_cursor;
      paint();
    } catch (error) {
      if (!signal.aborted) text(summary, wordsFor(error));
    }
  }

  /** An event of the stream; `ready` means that it stands: whatever came before it is in the list now. */
  function take(kind, { job_id: id, sequence, data }) {
    if (kind === "ready") return void load();
    const row = rows.get(id);
    if (!row) return void (kind === "status" && ask(id));
    if (kind === "end" || sequence <= row.job.last_sequence) return;
    row.job.last_sequence = sequence;
    if (apply(row.job, kind, data)) ask(id);
    row.update();
    paint();
  }

  /** The whole job, once however many events ask for it. */
  async function ask(id) {
    if (asked.has(id)) return;
    asked.add(id);
    try {
      const job = await get(`/jobs/${id}`, { signal });
      if (wanted(job, server())) put(job);
      else drop((each) => each.id === id);
      paint();
    } catch {
      // Deleted meanwhile, or the service is away: the list is asked for again when it is back.
    } finally {
      asked.delete(id);
    }
  }

  function put(job) {
    const row = rows.get(job.id);
    if (!row) rows.set(job.id, new Row(job, select));
    else if (job.last_sequence >= row.job.last_sequence) {
      row.job = job;
      row.update();
    }
  }

  function drop(which) {
    for (const [id, row] of rows) if (which(row.job)) rows.delete(id);
  }

  function show() {
    const by = query.get("sort") ?? "made";
    const descending = query.get("order") !== "ascending";
    const search = query.get("search") ?? "";
    const jobs = [...rows.values()].map(({ job }) => job);
    const shown = sorted(search ? jobs.filter((job) => found(job, search)) : jobs, by, descending);
    const nodes = shown.map(({ id }) => rows.get(id).node);
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
    if (hidden) parts.push(`${hidden} not found by the search`);
    if (cursor) parts.push("older ones are not loaded");
    text(summary, jobs.length || cursor ? parts.join(" · ") : "No jobs yet. Make one, or POST one to /searches.");
  }

  function head(by, label) {
    const button = el("button", { type: "button", class: "plain" }, label);
    button.addEventListener("click", () => {
      const same = (query.get("sort") ?? "made") === by;
      const descending = same ? query.get("order") === "ascending" : by === "made" || by === "best" || by === "progress";
      query.set("sort", by);
      query.set("order", descending ? "descending" : "ascending");
      remember(query);
      show();
    });
    return el("th", { scope: "col", "data-by": by }, button);
  }

  function change(name, value) {
    query.set(name, value);
    remember(query);
    if (name === "search") return show();
    rows.clear();
    cursor = null;
    load();
  }

  function server() {
    return { kind: query.get("kind"), status: query.get("status"), label: query.get("label") };
  }

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

