import assert from "node:assert/strict";
import test from "node:test";
import { itemsOf, labelsOf, parsed } from "../../api/dashboard/static/new/inputs.js";

test("labels are split at the first equals sign", () => {
  assert.deepEqual(labelsOf("a=1, b = x=y ,c"), { a: "1", b: "x=y", c: "" });
});

test("items are split at commas and spaces, and whole numbers are numbers", () => {
  assert.deepEqual(itemsOf("1, -2 three  4.5,"), [1, -2, "three", "4.5"]);
});

test("text that is no JSON stays text", () => {
  assert.deepEqual([parsed('{"a": [1]}'), parsed("{a}")], [{ a: [1] }, "{a}"]);
});
