import assert from "node:assert/strict";
import { test } from "node:test";
import { reached } from "../../api/dashboard/static/job/lineage.js";

const edges = [
  { origin: "digits", result: "search" },
  { origin: "search", result: "cell" },
  { origin: "cell", result: "training" },
  { origin: "cell", result: "other training" },
  { origin: "training", result: "score" },
];

test("the origins and the results of a job are all those on its paths", () => {
  assert.deepEqual([...reached("training", edges, ({ origin, result }) => [result, origin])], ["cell", "search", "digits"]);
  assert.deepEqual([...reached("training", edges, ({ origin, result }) => [origin, result])], ["score"]);
});
