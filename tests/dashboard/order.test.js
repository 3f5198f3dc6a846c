import assert from "node:assert/strict";
import test from "node:test";
import { found, sorted, wanted } from "../../api/dashboard/static/jobs/order.js";
import { job } from "./examples.js";

const JOBS = [
  job({ id: "1", name: "b", status: "succeeded", best: { epoch: 1, validation_accuracy: 10 }, created_at: "2026-01-01T00:00:00Z" }),
  job({ id: "2", name: "A", status: "running", best: { epoch: 1, validation_accuracy: 30 }, created_at: "2026-01-02T00:00:00Z" }),
  job({ id: "3", name: "C", status: "running", created_at: "2026-01-03T00:00:00Z" }),
];

/** @param {string} by @param {boolean} descending */
const order = (by, descending) => sorted(JOBS, by, descending).map(({ id }) => id);

test("jobs are sorted by each column", () => {
  assert.deepEqual(order("name", false), ["2", "1", "3"]);
  assert.deepEqual(order("best", true), ["2", "1", "3"]);
  assert.deepEqual(order("created", true), ["3", "2", "1"]);
  assert.deepEqual(order("progress", true), ["1", "3", "2"]);
});

test("equal jobs are sorted newest first in both directions", () => {
  assert.deepEqual(order("status", false), ["3", "2", "1"]);
  assert.deepEqual(order("status", true), ["1", "3", "2"]);
});

test("an unknown column sorts by creation", () => {
  assert.deepEqual(order("unknown", true), order("created", true));
});

test("filters combine", () => {
  const labelled = job({ labels: { by: "a=b", team: "" } });
  assert.equal(wanted(labelled, { kind: "search", status: "running", label: "team" }), true);
  assert.equal(wanted(labelled, { label: "by=a=b" }), true);
  assert.equal(wanted(labelled, { label: "by=a" }), false);
  assert.equal(wanted(labelled, { label: "owner" }), false);
  assert.equal(wanted(labelled, { kind: "score" }), false);
  assert.equal(wanted(labelled, { status: "queued" }), false);
});

test("a search finds jobs by all of its words", () => {
  const one = job({ name: "First", labels: { by: "me" }, worker: "host-1" });
  assert.equal(found(one, "FIRST digits"), true);
  assert.equal(found(one, "by=me host-1"), true);
  assert.equal(found(one, "first cifar"), false);
});
