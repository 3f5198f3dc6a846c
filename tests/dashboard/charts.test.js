import assert from "node:assert/strict";
import test from "node:test";

test("ticks are at whole epochs, at most eight of them", async () => {
  // The module reads the page's colour scheme when it is loaded.
  Object.assign(globalThis, { matchMedia: () => ({ addEventListener() {} }) });
  const { epochStep } = await import("../../api/dashboard/static/lib/charts.js");
  assert.deepEqual([1, 2, 3, 8, 9, 16, 17, 50, 100, 600].map(epochStep), [1, 1, 1, 1, 2, 2, 5, 10, 20, 100]);
});
