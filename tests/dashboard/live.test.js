import assert from "node:assert/strict";
import test from "node:test";
import { problemOf, wordsFor } from "../../api/dashboard/static/lib/http.js";
import { eventOf } from "../../api/dashboard/static/lib/live.js";
import { viewOf } from "../../api/dashboard/static/lib/router.js";

/** @param {object} data */
const message = (data) => new MessageEvent("step", { data: JSON.stringify(data), lastEventId: "7" });

test("an event of one job has the message as its data and the id as its sequence", () => {
  assert.deepEqual(eventOf("step", message({ epoch: 1 })), { kind: "step", job_id: "", sequence: 7, data: { epoch: 1 } });
});

test("an event of many jobs names its job", () => {
  const named = { job_id: "j", sequence: 3, data: { epoch: 1 } };
  assert.deepEqual(eventOf("step", message(named)), { kind: "step", ...named });
});

test("a problem document gives message and fields", () => {
  const problem = problemOf(422, JSON.stringify({ detail: "no", errors: [{ loc: ["body", "seed"], msg: "wrong", value: null }] }));
  assert.deepEqual([problem.message, problem.status, problem.errors[0].loc], ["no", 422, ["body", "seed"]]);
  assert.deepEqual(problemOf(409, '{"detail": "no"}').errors, []);
});

test("an answer that is no problem document gives the status", () => {
  assert.equal(problemOf(502, "<html>").message, "the service answered 502");
});

test("a failed connection is described", () => {
  assert.match(wordsFor(new TypeError("Failed to fetch")), /cannot be reached/);
  assert.equal(wordsFor(problemOf(500, '{"detail": "it broke"}')), "it broke");
});

test("a single job has a view of its own", () => {
  assert.deepEqual([[], ["jobs"], ["jobs", "1"], ["new"]].map((parts) => viewOf({ parts })), ["jobs", "jobs", "job", "new"]); // biome-ignore format: one line
});
