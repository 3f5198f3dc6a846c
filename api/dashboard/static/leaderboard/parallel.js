/** Draws jobs as lines over parallel axes, one of each field. Dragging along an axis keeps the lines that cross there. */
import { svg } from "../lib/dom.js";
import { capital, short, value, words } from "../lib/format.js";
import { title } from "../lib/jobs.js";
import { scaleOf } from "../lib/scale.js";

const [HEIGHT, TOP, BOTTOM, SIDE] = [300, 34, 282, 70];
const MOST_VALUES = 12;
const MOST_AXES = 8;

/**
 * An axis. of: a job's value as a number; a field of words has the numbers of `names`.
 * @typedef {{ name: string, label: string, of(job: Job): number | null | undefined, names?: string[], text?(value: number): string }} Axis
 */

/**
 * The axes of the fields of the specs that differ, those of few values as words.
 * @param {Job[]} jobs
 * @returns {Axis[]}
 */
export function specAxes(jobs) {
  const fields = new Set(jobs.flatMap(({ spec }) => Object.keys(spec)));
  /** @type {Axis[]} */
  const axes = [];
  for (const name of fields) {
    const given = jobs.map(({ spec }) => spec[name]).filter((each) => each !== null && each !== undefined);
    const names = [...new Set(given.map(value))].sort();
    if (names.length < 2) continue;
    const label = capital(words(name));
    if (given.every((each) => typeof each === "number")) {
      axes.push({ name, label, of: ({ spec }) => /** @type {number | undefined} */ (spec[name]) });
    } else if (names.length <= MOST_VALUES && given.every((each) => typeof each !== "object")) {
      /** @param {Job} job */
      const of = ({ spec }) => {
        const place = names.indexOf(value(spec[name]));
        return place < 0 ? null : place;
      };
      axes.push({ name, label, names, of });
    }
  }
  return axes.slice(0, MOST_AXES);
}

/**
 * Whether a job's line crosses every axis within the ranges that are kept.
 * @param {Job} job
 * @param {Axis[]} axes
 * @param {Map<string, [number, number]>} ranges by the axis's name, in places of the drawing
 * @param {Map<string, (value: number) => number>} places
 */
function kept(job, axes, ranges, places) {
  return axes.every((axis) => {
    const range = ranges.get(axis.name);
    const at = axis.of(job);
    if (!range) return true;
    if (typeof at !== "number") return false;
    const place = places.get(axis.name)?.(at) ?? 0;
    return place >= range[0] && place <= range[1];
  });
}

/**
 * @param {Job[]} jobs
 * @param {Axis[]} axes the last is the quality, whose best are drawn strongest
 * @param {number} width
 * @param {{ ranges: Map<string, [number, number]>, onRange: () => void, strength: (job: Job) => number }} options
 * strength: from 0 to 1
 */
export function parallel(jobs, axes, width, { ranges, onRange, strength }) {
  const gap = axes.length > 1 ? (width - 2 * SIDE) / (axes.length - 1) : 0;
  const scales = axes.map(({ names, of }) => {
    const known = jobs.map(of).filter((each) => typeof each === "number");
    const scale = scaleOf(names ? names.map((_, at) => at) : known, BOTTOM, TOP);
    return names ? { ...scale, ticks: names.map((_, at) => at) } : scale;
  });
  const places = new Map(axes.map(({ name }, index) => [name, scales[index].at]));
  const inside = new Set(jobs.filter((job) => kept(job, axes, ranges, places)).map(({ id }) => id));
  const lines = jobs
    .toSorted((a, b) => strength(a) - strength(b))
    .map((job) => {
      const points = axes.flatMap((axis, index) => {
        const at = axis.of(job);
        return typeof at === "number" ? [`${SIDE + index * gap},${scales[index].at(at)}`] : [];
      });
      const line = svg("polyline", { points: points.join(" "), class: inside.has(job.id) ? null : "dim" }, svg("title", {}, title(job)));
      line.style.setProperty("--strength", `${Math.round(100 * strength(job))}%`);
      return line;
    });
  const node = svg(
    "svg",
    { class: "plot parallel", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${jobs.length} jobs over ${described(axes)}` },
    ...lines,
    ...axes.map((axis, index) => drawnAxis(axis, scales[index], SIDE + index * gap)),
  );
  return { node, inside };

  /** @param {Axis} axis @param {ReturnType<typeof scaleOf>} scale @param {number} x */
  function drawnAxis({ name, label, names, text }, { at, ticks }, x) {
    const range = ranges.get(name);
    const shown = (/** @type {number} */ tick) => (names ? names[tick] : (text?.(tick) ?? short(tick)));
    const reach = svg("rect", { class: "reach", x: x - 12, y: TOP - 6, width: 24, height: BOTTOM - TOP + 12 });
    reach.addEventListener("pointerdown", (event) => drag(event, reach, name));
    return svg(
      "g",
      {},
      svg("path", { class: "axis", d: `M${x},${TOP}V${BOTTOM}` }),
      svg("text", { class: "title", x, y: 14, "text-anchor": "middle" }, label),
      ...ticks.map((tick) => svg("text", { x: x + 6, y: at(tick) + 4 }, shown(tick))),
      range ? svg("rect", { class: "range", x: x - 5, y: range[0], width: 10, height: range[1] - range[0] }) : null,
      reach,
    );
  }

  /**
   * A drag keeps a range of the axis; a click frees it.
   * @param {PointerEvent} event @param {SVGRectElement} reach @param {string} name
   */
  function drag(event, reach, name) {
    const box = node.getBoundingClientRect();
    const place = (/** @type {PointerEvent} */ each) => ((each.clientY - box.top) / box.height) * HEIGHT;
    const start = place(event);
    reach.setPointerCapture(event.pointerId);
    reach.addEventListener(
      "pointerup",
      (last) => {
        const end = place(last);
        if (Math.abs(end - start) < 4) ranges.delete(name);
        else ranges.set(name, [Math.min(start, end), Math.max(start, end)]);
        onRange();
      },
      { once: true },
    );
  }
}

/** @param {Axis[]} axes */
function described(axes) {
  return axes.map(({ label }) => label).join(", ");
}
