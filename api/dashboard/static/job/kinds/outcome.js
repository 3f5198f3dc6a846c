/** Draws a study's outcome: per point its candidates with the chosen one, and the final runs with mean and spread. */

import { svg } from "../../lib/dom.js";
import { capital, metric, plural, short, words } from "../../lib/format.js";
import { scaleOf } from "../../lib/scale.js";

const [WIDTH, ROW, TOP] = [760, 48, 24];
const SIDES = { candidates: [0, 365], final: [395, 760] };

/**
 * One row for each point; null while no run has a figure.
 * @param {StudyPoint[]} points
 * @param {(point: StudyPoint) => string} named
 */
export function outcome(points, named) {
  const candidates = points.map((point) => point.candidates.map((run) => ({ run, at: run[point.chosen_by], marked: run.chosen })));
  const finals = points.map(({ final }) => final.runs.map((run) => ({ run, at: run[final.metric], marked: false })));
  const bottom = TOP + ROW * points.length;
  const first = panel("candidates", candidates, points[0].chosen_by);
  const second = panel("final", finals, points[0].final.metric);
  if (!first && !second) return null;
  return svg(
    "svg",
    {
      class: "plot outcome",
      viewBox: `0 0 ${WIDTH} ${bottom + 30}`,
      role: "img",
      "aria-label": "Candidates and final runs of each point; the tables below have the figures",
    },
    ...points.map((point, row) => svg("text", { class: "title", x: 0, y: TOP + ROW * row + 14 }, named(point))),
    ...(first ?? []),
    ...(second ?? []),
  );

  /** @param {number} row */
  function middle(row) {
    return TOP + ROW * row + 32;
  }

  /**
   * @param {keyof typeof SIDES} side
   * @param {{ run: Run, at: unknown, marked: boolean }[][]} rows
   * @param {string} name of the metric
   */
  function panel(side, rows, name) {
    const known = rows.flat().flatMap(({ at }) => (typeof at === "number" ? [at] : []));
    if (!known.length) return null;
    const reached = points.flatMap(({ final: { mean, std } }) => (mean === null ? [] : [mean - (std ?? 0), mean + (std ?? 0)]));
    const [left, right] = SIDES[side];
    const scale = scaleOf(side === "final" ? [...known, ...reached] : known, left + 10, right - 10, 4);
    const spread = side === "final" ? points.flatMap(({ final }, row) => band(final, row, scale.at)) : [];
    const dots = rows.flatMap((runs, row) =>
      runs.flatMap(({ run, at, marked }) => {
        if (typeof at !== "number") return [];
        const circle = { class: marked || side === "final" ? "best" : null, cx: scale.at(at), cy: middle(row), r: marked ? 7 : 4.5 };
        return [svg("circle", circle, svg("title", {}, `seed ${run.seed}: ${metric(name, at)}${marked ? ", chosen" : ""}`))];
      }),
    );
    return [
      svg("text", { x: left, y: 14 }, `${side === "final" ? "Final runs" : "Candidates"}: ${words(name)}`),
      ...points.map((_, row) => svg("path", { class: "grid", d: `M${left},${middle(row)}H${right}` })),
      ...scale.ticks.map((tick) => svg("text", { x: scale.at(tick), y: bottom + 18, "text-anchor": "middle" }, short(tick))),
      ...spread,
      ...dots,
    ];
  }

  /** @param {StudyPoint["final"]} final @param {number} row @param {(value: number) => number} at */
  function band({ metric: name, mean, std, n }, row, at) {
    if (mean === null) return [];
    const [x, y] = [at(mean), middle(row)];
    const reach = std === null ? [] : [svg("path", { class: "spread", d: `M${at(mean - std)},${y}H${at(mean + std)}` })];
    const title = `${capital(words(name))} ${metric(name, mean)}${std === null ? "" : ` ± ${std.toFixed(2)}`}, ${plural(n, "run")}`;
    return [...reach, svg("path", { class: "mean", d: `M${x},${y - 10}V${y + 10}` }, svg("title", {}, title))];
  }
}
