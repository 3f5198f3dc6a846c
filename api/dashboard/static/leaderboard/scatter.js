/** Draws jobs by quality and cost, with their Pareto front; a point links to its job and shows it on hover. */
import { el, fill, svg } from "../lib/dom.js";
import { short } from "../lib/format.js";
import { title } from "../lib/jobs.js";
import { scaleOf } from "../lib/scale.js";

/** @typedef {import("./pareto.js").Point} Point */

const HEIGHT = 380;
const MARGIN = { left: 56, right: 16, top: 12, bottom: 44 };

/**
 * @param {{ points: Point[], best: Point[], x: string, y: string, dimmed: (job: Job) => boolean }} content
 * best: the front; x, y: the axes' labels
 * @param {number} width
 * @param {HTMLElement} card shows the job under the pointer
 * @param {(point: Point) => Child[]} describe
 */
export function scatter({ points, best, x, y, dimmed }, width, card, describe) {
  const [right, bottom] = [width - MARGIN.right, HEIGHT - MARGIN.bottom];
  const across = scaleOf(
    points.map((point) => point.x),
    MARGIN.left + 12,
    right - 12,
    width / 110,
  );
  const up = scaleOf(
    points.map((point) => point.y),
    bottom - 12,
    MARGIN.top + 12,
  );
  const onFront = new Set(best.map(({ job }) => job.id));
  const steps = best.map(({ x, y }, at) => `${at ? `H${across.at(x)}V` : `M${across.at(x)},`}${up.at(y)}`);
  return svg(
    "svg",
    { class: "plot", viewBox: `0 0 ${width} ${HEIGHT}`, role: "group", "aria-label": `${y} by ${x} of ${points.length} jobs` },
    ...across.ticks.map((tick) => label(across.at(tick), bottom + 18, short(tick), "middle", [across.at(tick), MARGIN.top, bottom])),
    ...up.ticks.map((tick) => label(MARGIN.left - 8, up.at(tick) + 4, short(tick), "end")),
    ...up.ticks.map((tick) => svg("path", { class: "grid", d: `M${MARGIN.left},${up.at(tick)}H${right}` })),
    svg("text", { x: (MARGIN.left + right) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, x),
    svg("path", { class: "front", d: `${steps.join("")}H${right}` }),
    ...points.map((point) => dot(point)),
  );

  /** @param {Point} point */
  function dot(point) {
    const kept = onFront.has(point.job.id);
    const link = svg(
      "a",
      { href: `#/jobs/${point.job.id}`, class: dimmed(point.job) ? "dim" : null, tabindex: kept ? null : -1 },
      svg("title", {}, title(point.job)),
      svg("circle", { class: kept ? "best" : null, cx: across.at(point.x), cy: up.at(point.y), r: kept ? 6 : 4 }),
    );
    const show = () => {
      fill(card, ...describe(point));
      card.hidden = false;
      const left = across.at(point.x) + 14;
      card.style.left = `${Math.max(0, left + card.offsetWidth > width ? left - 28 - card.offsetWidth : left)}px`;
      card.style.top = `${Math.max(0, Math.min(up.at(point.y) - card.offsetHeight / 2, HEIGHT - card.offsetHeight))}px`;
    };
    for (const name of ["pointerenter", "focus"]) link.addEventListener(name, show);
    for (const name of ["pointerleave", "blur"]) link.addEventListener(name, () => (card.hidden = true));
    return link;
  }
}

/**
 * @param {number} x @param {number} y @param {string} text @param {string} anchor
 * @param {[number, number, number]} [line] a grid line's x and its ends
 */
function label(x, y, text, anchor, line) {
  return svg(
    "g",
    {},
    line ? svg("path", { class: "grid", d: `M${line[0]},${line[1]}V${line[2]}` }) : null,
    svg("text", { x, y, "text-anchor": anchor }, text),
  );
}

/** The card of the point under the pointer. */
export function hoverCard() {
  return el("div", { class: "panel hover small", hidden: true });
}
