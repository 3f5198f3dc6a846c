import assert from "node:assert/strict";
import { test } from "node:test";
import { asLines, labelsIn } from "../../api/dashboard/static/lib/labels.js";

test("labels are read back from their lines", () => {
  const labels = { team: "vision", formula: "a=b" };
  assert.deepEqual(labelsIn(`\n ${asLines(labels).join("\n")}\n`), labels);
});

test("a line without a key is named", () => {
  assert.throws(() => labelsIn("team=vision\nalone"), /“alone” is no label/);
});
