/** Lists jobs. The service searches, sorts and counts all of them; one event stream keeps the rows current. */
import { batched, el, fill, save, scrolling, text } from "../lib/dom.js";
import { plural, whole } from "../lib/format.js";
import { get, page, wordsFor } from "../lib/http.js";
import { apply, isComposite } from "../lib/jobs.js";
import { follow } from "../lib/live.js";
import { menu } from "../lib/menu.js";
import { placeIn, queueOf, slotOf } from "../lib/queue.js";
import { remember } from "../lib/router.js";
import { bulkBar } from "./bulk.js";
import { asColumns, COLUMNS, chosenColumns, csvOf, direction, nextOrder } from "./columns.js";
import { FirstSteps } from "./empty.js";
import { filters } from "./filters.js";
import { Row } from "./row.js";
import { viewsMenu } from "./saved_views.js";

const NEWEST = "-created_at";
// A phone shows a job as a card.
const PAGE = matchMedia("(max-width: 48rem)").matches ? 25 : 100;
// Many events in a row are one request.
const RELOAD_MS = 2000;

/** @type {View} */
export function jobsView(main, { query }, signal) {
  /** @type {Map<string, Row>} */
  const rows = new Map();
  /** The rows' order, as the service gave it. @type {string[]} */
  let order = [];
  /** The children of unfolded jobs. @type {Map<string, Row[]>} */
  const unfolded = new Map();
  const chosen = new Set((query.get("chosen") ?? "").split(",").filter(Boolean));
  let columns = chosenColumns(query);
  /** @type {string | null} */
  let cursor = null;
  let loads = 0;
  let reloaded = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const summary = el("p", { class: "muted" }, "Loading…");
  const head = el("tr");
  const body = el("tbody");
  const caption = el("caption", { class: "unseen" }, "Jobs");
  const table = el("table", { class: "jobs cards" }, caption, el("thead", {}, head), body);
  const more = el("button", { type: "button", hidden: true, on: { click: () => load(cursor) } }, "Load more");
  const csv = el("button", { type: "button", disabled: true, on: { click: download } }, "CSV");
  const bar = bulkBar(chosen, { done: () => load(), clear });
  const above = filters(query, change);
  const tools = el(
    "div",
    { class: "row" },
    viewsMenu(() => query),
    menu("Columns", columnChoice()),
    csv,
  );
  const steps = new FirstSteps(signal);
  const list = scrolling("All jobs", table);
  const paint = batched(show, signal);

  fill(
    main,
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, "Jobs"), summary),
      el("div", { class: "row" }, tools, el("a", { class: "button primary", href: "#/new" }, "New job")),
    ),
    above.node,
    steps.node,
    list,
    el("div", { class: "row" }, more),
    bar.node,
  );
  drawHead();
  bar.update();
  const clock = setInterval(() => {
    for (const row of allRows()) row.tick();
  }, 30_000);
  signal.addEventListener("abort", () => {
    clearInterval(clock);
    clearTimeout(timer);
  });
  // The stream's first event asks for the list, which then has all that happened before it.
  follow("/events?active=true", { onEvent: take, signal });

  /** @param {string | null} from a cursor; null for the pages from the first on that are shown by now */
  async function load(from = null) {
    const mine = ++loads;
    clearTimeout(timer);
    timer = undefined;
    reloaded = Date.now();
    try {
      /** @type {Job[]} */
      const jobs = [];
      let next = from;
      let answer;
      do {
        answer = await page("/jobs", serverFilters(), { cursor: next, limit: PAGE, signal });
        jobs.push(...answer.items);
        next = answer.next_cursor;
      } while (from === null && next !== null && jobs.length < order.length);
      if (mine !== loads) return;
      const ids = jobs.map(({ id }) => id);
      order = from === null ? ids : [...order, ...ids.filter((id) => !rows.has(id))];
      cursor = next;
      for (const id of rows.keys()) if (!order.includes(id)) rows.delete(id);
      jobs.forEach(put);
      csv.disabled = !order.length;
      count(answer);
      paint();
      await placed();
    } catch (error) {
      if (!signal.aborted) text(summary, wordsFor(error));
    }
  }

  /** Show the places of the queued jobs: one request for each pool and number of GPUs. */
  async function placed() {
    const waiting = [...rows.values()].filter(({ job }) => job.status === "queued" && !isComposite(job));
    for (const [slot, of] of Map.groupBy(waiting, ({ job }) => slotOf(job))) {
      const queue = await queueOf(slot, signal);
      for (const row of of) {
        row.turn = placeIn(queue, row.job.id);
        row.update();
      }
    }
  }

  /** Load the list again soon, since an event may have changed the order. */
  function reload() {
    timer ??= setTimeout(() => load(), Math.max(0, reloaded + RELOAD_MS - Date.now()));
  }

  /**
   * Apply an event. `ready` means that the stream has started.
   * @param {JobEvent} event
   */
  function take(event) {
    const { kind, job_id: id, sequence } = event;
    if (kind === "ready") return void load();
    const row = rows.get(id) ?? allRows().find(({ job }) => job.id === id);
    if (!row) return void (kind === "status" && reload());
    if (kind === "end" || sequence <= row.job.last_sequence) return;
    row.job.last_sequence = sequence;
    if (apply(row.job, event) || kind === "child" || (kind === "epoch" && sorting() !== NEWEST)) reload();
    row.update();
  }

  /** @param {Job} job */
  function put(job) {
    const row = rows.get(job.id);
    if (!row) rows.set(job.id, new Row(job, columns, { selected: chosen.has(job.id), onSelect: select, onUnfold: unfold }));
    else if (job.last_sequence >= row.job.last_sequence) {
      row.job = job;
      row.update();
    }
  }

  /**
   * Show the children of a study or a committee below it, or hide them.
   * @param {Job} job @param {boolean} open
   */
  async function unfold(job, open) {
    unfolded.delete(job.id);
    if (open && job.links.children) {
      try {
        const { items } = await get(job.links.children, { signal });
        const options = { child: true, onSelect: select };
        unfolded.set(
          job.id,
          items.map((each) => new Row(each, columns, { ...options, selected: chosen.has(each.id) })),
        );
      } catch (error) {
        if (!signal.aborted) text(summary, wordsFor(error));
      }
    }
    paint();
  }

  function allRows() {
    return [...rows.values(), ...[...unfolded.values()].flat()];
  }

  function show() {
    const nodes = order.flatMap((id) => [rows.get(id)?.node ?? [], (unfolded.get(id) ?? []).map(({ node }) => node)].flat());
    if (nodes.length !== body.childElementCount || nodes.some((node, at) => body.children[at] !== node)) {
      body.replaceChildren(...nodes);
    }
    more.hidden = cursor === null;
  }

  /** @param {{ total?: number | null, total_exact?: boolean, counts?: Partial<Record<Status, number>> | null }} answer */
  function count({ total, total_exact, counts }) {
    above.count(counts ?? {});
    const all = total_exact === false ? `${whole(total)} or more jobs` : plural(total ?? 0, "job");
    const { running = 0, queued = 0 } = counts ?? {};
    const filtered = ["q", "kind", "status", "label", "owner"].some((name) => query.get(name));
    const none = filtered ? "No job matches these filters." : "No jobs yet.";
    const empty = !total && !filtered;
    steps.show(empty);
    tools.hidden = above.node.hidden = list.hidden = empty;
    text(summary, total ? [all, `${running} running`, `${queued} queued`].join(" · ") : none);
  }

  function drawHead() {
    const heads = columns.map((name) => {
      const column = COLUMNS[name];
      const by = direction(column, sorting());
      const attributes = { scope: "col", class: column.number ? "number" : null, "aria-sort": by };
      const { sort } = column;
      if (!sort) return el("th", attributes, column.label);
      const button = el("button", { type: "button", class: "plain" }, column.label);
      button.addEventListener("click", () => change("sort", nextOrder(sort, sorting())));
      return el("th", attributes, button);
    });
    fill(head, el("th", { class: "select" }, el("span", { class: "unseen" }, "Choose")), ...heads);
  }

  function columnChoice() {
    const boxes = Object.entries(COLUMNS).map(([name, { label }]) => {
      const box = el("input", { type: "checkbox", value: name, checked: columns.includes(name), disabled: name === "name" });
      return el("label", {}, box, label);
    });
    const choice = el("fieldset", { class: "options column" }, el("legend", { class: "unseen" }, "Columns"), ...boxes);
    choice.addEventListener("change", () => {
      const names = [...choice.querySelectorAll("input")].filter(({ checked }) => checked).map(({ value }) => value);
      query.set("columns", asColumns(names));
      remember(query);
      columns = chosenColumns(query);
      drawHead();
      const jobs = [...rows.values()].map(({ job }) => job);
      rows.clear();
      unfolded.clear();
      jobs.forEach(put);
      paint();
    });
    return choice;
  }

  /** @param {string} name @param {string} value */
  function change(name, value) {
    query.set(name, name === "sort" && value === NEWEST ? "" : value);
    remember(query);
    drawHead();
    order = [];
    unfolded.clear();
    load();
  }

  function sorting() {
    return query.get("sort") || NEWEST;
  }

  function serverFilters() {
    const named = Object.fromEntries(["q", "kind", "status", "label", "owner"].map((name) => [name, query.get(name)]));
    // A search, a filter and an order by value are for the children, too.
    const folded = sorting() === NEWEST && !Object.values(named).some(Boolean);
    return { ...named, sort: sorting(), parent: folded ? "none" : null };
  }

  /** @param {string} id @param {boolean} on */
  function select(id, on) {
    if (on) chosen.add(id);
    else chosen.delete(id);
    query.set("chosen", [...chosen].join(","));
    remember(query);
    bar.update();
  }

  function clear() {
    for (const row of allRows()) row.box.checked = false;
    chosen.clear();
    query.delete("chosen");
    remember(query);
    bar.update();
  }

  function download() {
    const jobs = order.flatMap((id) => rows.get(id)?.job ?? []);
    save("jobs.csv", "text/csv", csvOf(jobs, columns));
  }
}
