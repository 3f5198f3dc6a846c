import assert from "node:assert/strict";
import test from "node:test";
import { bestPlace } from "../../api/dashboard/static/compare/tables.js";
import { limitOf, QUALITIES } from "../../api/dashboard/static/leaderboard/measures.js";
import { specAxes } from "../../api/dashboard/static/leaderboard/parallel.js";
import { front, ranked } from "../../api/dashboard/static/leaderboard/pareto.js";
import { short } from "../../api/dashboard/static/lib/format.js";
import { scaleOf } from "../../api/dashboard/static/lib/scale.js";
import { job } from "./examples.js";

/** @param {string} name @param {number} x @param {number} y */
const point = (name, x, y) => ({ job: job({ name }), x, y });
/** @param {{ job: Job }[]} points */
const names = (points) => points.map((each) => each.job.name);

test("the front has the jobs that none beats in both quality and cost", () => {
  const points = [point("large", 9, 97), point("beaten", 5, 90), point("small", 1, 80), point("middle", 4, 95), point("worse", 1, 70)];
  assert.deepEqual(names(front(points, false)), ["small", "middle", "large"]);
  assert.deepEqual(names(front(points, true)), ["worse"]);
  assert.deepEqual(names(front([point("first", 1, 80), point("same", 1, 80)], false)), ["first"]);
});

test("of equally good jobs the cheapest is ranked first", () => {
  const points = [point("dear", 9, 90), point("cheap", 2, 90), point("best", 20, 95)];
  assert.deepEqual(names(ranked(points, false)), ["best", "cheap", "dear"]);
  assert.deepEqual(names(ranked(points, true)), ["cheap", "dear", "best"]);
});

test("perplexities are better when they fall", () => {
  assert.equal(QUALITIES.test_perplexity.falling, true);
  assert.equal(QUALITIES.test.falling, false);
  assert.equal(QUALITIES.evaluation_validation.text(91.5), "91.50 %");
});

test("a limit is typed with a unit or without", () => {
  assert.deepEqual(["3M", "3.5e6", "3,000,000", "250 k", "", "many"].map(limitOf), [3e6, 3.5e6, 3e6, 250e3, null, null]);
  assert.deepEqual([3_250_000, 1500, 0.25].map(short), ["3.25 M", "1.5 k", "0.25"]);
});

test("a scale has round ticks, and is logarithmic over a wide range", () => {
  const { at, ticks } = scaleOf([0, 10], 100, 200);
  assert.deepEqual([at(0), at(5), at(10)], [100, 150, 200]);
  assert.deepEqual(ticks, [0, 2, 4, 6, 8, 10]);
  const wide = scaleOf([1, 100], 0, 100);
  assert.equal(wide.at(10), 50);
  assert.deepEqual(wide.ticks, [1, 3, 10, 30, 100]);
  assert.equal(scaleOf([7, 7], 0, 100).at(7), 50);
  assert.deepEqual(scaleOf([2, 4], 0, 100).ticks, [2, 3, 4]);
});

test("the axes are the fields that differ, words by their names", () => {
  const specs = [
    { family: "cnn", dataset: "digits", epochs: 5, method: "darts", weight_lr: 0.1, grid: { a: 1 } },
    { family: "cnn", dataset: "digits", epochs: 10, method: "gdas", weight_lr: 0.1, grid: { a: 2 } },
  ];
  const jobs = specs.map((spec) => job({ spec: /** @type {JobSpec} */ (spec) }));
  const axes = specAxes(jobs);
  assert.deepEqual(
    axes.map(({ name }) => name),
    ["epochs", "method"],
  );
  assert.deepEqual(
    axes.map(({ of }) => of(jobs[1])),
    [10, 1],
  );
  assert.deepEqual(axes[1].names, ["darts", "gdas"]);
});

test("the best of a row is the one figure that is better than all others", () => {
  assert.equal(bestPlace([90, 91, undefined], "test_accuracy"), 1);
  assert.equal(bestPlace([0.5, 0.25], "validation_loss"), 1);
  assert.equal(bestPlace([90, 90], "test_accuracy"), -1);
  assert.equal(bestPlace([90], "test_accuracy"), -1);
  assert.equal(bestPlace([1, 2], "alpha_lr"), -1);
});
