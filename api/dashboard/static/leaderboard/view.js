/** Ranks jobs: quality against cost with the Pareto front, their specs on parallel axes, and a table. */
import { filters } from "../jobs/filters.js";
import { cellsOf, layoutOf, named } from "../lib/cells.js";
import { batched, el, field, fill, scrolling, table, text } from "../lib/dom.js";
import { whole } from "../lib/format.js";
import { get, page, wordsFor } from "../lib/http.js";
import { title } from "../lib/jobs.js";
import { remember } from "../lib/router.js";
import { COSTS, limitOf, QUALITIES } from "./measures.js";
import { parallel, specAxes } from "./parallel.js";
import { front, ranked } from "./pareto.js";
import { hoverCard, scatter } from "./scatter.js";

// As many requests of a page each, best jobs first.
const PAGES = 5;
const PAGE = 100;
const RANKS = 25;

/** @typedef {import("./pareto.js").Point} Point */

/** @type {View} */
export function leaderboardView(main, { query }, signal) {
  const ids = (query.get("chosen") ?? "").split(",").filter(Boolean);
  /** @type {Job[]} */
  let jobs = [];
  let loads = 0;
  let complete = true;
  /** @type {Map<string, [number, number]>} */
  const ranges = new Map();

  const summary = el("p", { class: "muted", role: "status" }, "Loading…");
  const card = hoverCard();
  const plot = el("div", { class: "plotted" });
  const lines = el("div", { class: "plotted", tabindex: "0", role: "region", "aria-label": "Specs" });
  const ranks = el("div");
  const paint = batched(show, signal);
  const quality = choice("quality", QUALITIES, load);
  const cost = choice("cost", COSTS, paint);
  const limit = el("input", { type: "text", inputmode: "decimal", placeholder: "3M", value: query.get("most") ?? "" });
  limit.addEventListener("input", () => {
    keep("most", limit.value.trim());
    limit.setAttribute("aria-invalid", String(Boolean(limit.value.trim()) && limitOf(limit.value) === null));
    paint();
  });
  const above = filters(query, (name, value) => {
    keep(name, value);
    load();
  });
  const measures = el("div", { class: "row measures" }, field("Quality", quality), field("Cost", cost), field("Cost at most", limit));
  fill(
    main,
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, "Leaderboard"), summary),
      el("a", { class: "button", href: listed() }, "As a list"),
    ),
    ids.length ? null : above.node,
    el(
      "div",
      { class: "stack" },
      el(
        "section",
        { class: "panel" },
        el("header", {}, el("h2", {}, "Quality against cost"), measures),
        el("div", { class: "over" }, plot, card),
      ),
      el(
        "section",
        { class: "panel" },
        el(
          "header",
          {},
          el("h2", {}, "Specs"),
          el("p", { class: "hint" }, "Drag along an axis to keep the jobs that cross it there; click it to free them."),
        ),
        lines,
      ),
      ranks,
    ),
  );
  const sizes = new ResizeObserver(paint);
  sizes.observe(main);
  signal.addEventListener("abort", () => sizes.disconnect());
  load();

  async function load() {
    const mine = ++loads;
    complete = true;
    try {
      if (!query.get("quality")) quality.value = (await firstKnown()) ?? quality.value;
      const found = ids.length ? await Promise.all(ids.map((id) => get(`/jobs/${encodeURIComponent(id)}`, { signal }))) : await best();
      if (mine !== loads) return;
      jobs = found;
      ranges.clear();
      paint();
    } catch (error) {
      if (!signal.aborted) text(summary, wordsFor(error));
    }
  }

  function serverFilters() {
    return Object.fromEntries(["q", "kind", "status", "label", "owner"].map((name) => [name, query.get(name)]));
  }

  /** The first quality that any job has, the best of which comes first in its order. */
  async function firstKnown() {
    const named = serverFilters();
    const firsts = Object.values(QUALITIES).map(({ sort }) => page("/jobs", { ...named, sort }, { limit: 1, signal }));
    const found = await Promise.all(firsts);
    return Object.keys(QUALITIES).find((name, at) => found[at].items.some((job) => QUALITIES[name].of(job) !== undefined));
  }

  /** The best jobs that match the filters. */
  async function best() {
    /** @type {Job[]} */
    const found = [];
    const named = serverFilters();
    const { sort, of } = QUALITIES[quality.value];
    let cursor = null;
    for (let pages = 0; pages < PAGES; pages += 1) {
      /** @type {Awaited<ReturnType<typeof page>>} */
      const answer = await page("/jobs", { ...named, sort }, { cursor, limit: PAGE, signal });
      found.push(...answer.items);
      cursor = answer.next_cursor;
      // Jobs without the metric come last.
      if (cursor === null || of(/** @type {Job} */ (answer.items.at(-1))) === undefined) return found;
    }
    complete = false;
    return found;
  }

  function show() {
    const { label: y, of: quantity, text: shownQuality, falling } = QUALITIES[quality.value];
    const { label: x, of: price, text: shownCost } = COSTS[cost.value];
    const most = limitOf(limit.value) ?? Number.POSITIVE_INFINITY;
    const points = jobs.flatMap((job) => {
      const [x, y] = [price(job), quantity(job)];
      return typeof x === "number" && typeof y === "number" && x <= most ? [{ job, x, y }] : [];
    });
    const counted = `${whole(points.length)} ${points.length === 1 ? "job" : "jobs"}`;
    text(
      summary,
      points.length
        ? `${complete ? "" : "the best "}${counted} with both figures`
        : `No job here has both figures: ${y.toLowerCase()} and ${x.toLowerCase()}.`,
    );
    fill(plot);
    fill(lines);
    fill(ranks);
    card.hidden = true;
    if (!points.length) return;
    const order = ranked(points, falling);
    const places = new Map(order.map(({ job }, at) => [job.id, at]));
    const best = front(points, falling);
    const axes = [
      ...specAxes(points.map(({ job }) => job)),
      { name: "cost", label: x, of: price },
      { name: "quality", label: y, of: quantity },
    ];
    const strength = (/** @type {Job} */ { id }) => 1 - (places.get(id) ?? 0) / order.length;
    const drawn = parallel(
      points.map(({ job }) => job),
      axes,
      Math.max(lines.clientWidth, 110 * axes.length),
      { ranges, onRange: paint, strength },
    );
    const dimmed = (/** @type {Job} */ { id }) => !drawn.inside.has(id);
    fill(plot, scatter({ points, best, x, y, dimmed }, plot.clientWidth, card, describe));
    fill(lines, drawn.node);
    const onFront = new Set(best.map(({ job }) => job.id));
    const rows = order.filter(({ job }) => !dimmed(job)).slice(0, RANKS);
    fill(
      ranks,
      scrolling(
        "Ranks",
        table(
          ["Rank", "Job", y, x, "Front"],
          el(
            "tbody",
            {},
            ...rows.map((point) => {
              const { job } = point;
              const place = String((places.get(job.id) ?? 0) + 1);
              const link = el("a", { href: `#/jobs/${job.id}` }, title(job));
              return el(
                "tr",
                {},
                ...[place, link, shownQuality(point.y), shownCost(point.x), onFront.has(job.id) ? "on it" : ""].map((part) =>
                  el("td", {}, part),
                ),
              );
            }),
          ),
        ),
      ),
    );

    /** @param {Point} point */
    function describe({ job, x: price, y: quantity }) {
      const cell = cellsOf(layoutOf(job.spec))[0];
      const pictured = ["search", "evaluation"].includes(job.kind);
      const source = `${job.links.self}/cells/${cell}.svg`;
      return [
        el("strong", {}, title(job)),
        el("p", {}, `${y} ${shownQuality(quantity)} · ${x} ${shownCost(price)}`),
        pictured ? el("img", { src: source, alt: `${named(cell)} of ${title(job)}` }) : null,
      ];
    }
  }

  /**
   * A choice that the address keeps.
   * @param {string} name @param {Record<string, { label: string }>} of @param {() => void} changed
   */
  function choice(name, of, changed) {
    const options = Object.entries(of).map(([value, { label }]) => el("option", { value }, label));
    const select = el("select", {}, ...options);
    const given = query.get(name) ?? "";
    if (Object.hasOwn(of, given)) select.value = given;
    select.addEventListener("change", () => {
      keep(name, select.value);
      changed();
    });
    return select;
  }

  /** @param {string} name @param {string} value */
  function keep(name, value) {
    query.set(name, value);
    remember(query);
  }

  function listed() {
    return ids.length ? `#/jobs?chosen=${ids.join(",")}` : "#/jobs";
  }
}
