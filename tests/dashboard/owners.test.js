import assert from "node:assert/strict";
import test from "node:test";
import { standings, used } from "../../api/dashboard/static/owners.js";

/** @param {Partial<Budget>} fields @returns {Budget} */
const budget = (fields) => ({ owner: "ada", gpu_hours: 200, used_gpu_hours: 12, month: "2026-12-01", state: "open", ...fields });

test("owners have their share and their budget, those without a share come last", () => {
  const shares = [
    { owner: null, gpu_hours: 3, share: 0.75, held: 0 },
    { owner: "ada", gpu_hours: 1, share: 0.25, held: 2 },
  ];
  const found = standings(shares, [budget({}), budget({ owner: "bob" })]);
  assert.deepEqual(
    found.map(({ owner, share, held, budget }) => [owner, share, held, budget?.owner ?? null]),
    [
      [null, 0.75, 0, null],
      ["ada", 0.25, 2, "ada"],
      ["bob", 0, 0, "bob"],
    ],
  );
});

test("a budget tells its used part and state", () => {
  assert.deepEqual(used(budget({})), { part: 0.06, text: "12.0 of 200 GPU-hours, 6 %" });
  assert.deepEqual(used(budget({ used_gpu_hours: 161, state: "warned" })), {
    part: 0.805,
    text: "161.0 of 200 GPU-hours, 81 %, warned",
  });
});

test("a budget of no hours is used up", () => {
  assert.deepEqual(used(budget({ gpu_hours: 0, used_gpu_hours: 0, state: "exhausted" })), {
    part: 1,
    text: "0.0 of 0 GPU-hours, 100 %, exhausted",
  });
});
