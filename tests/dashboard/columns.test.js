import assert from "node:assert/strict";
import test from "node:test";
import { asColumns, COLUMNS, chosenColumns, csvOf, direction, metricOf, nextOrder } from "../../api/dashboard/static/jobs/columns.js";
import { job } from "./examples.js";

/** @param {string} name @param {Partial<Job>} fields */
const text = (name, fields) => COLUMNS[name].text(job(fields));

test("the best epoch's value is shown, and the latest one's of what it does not have", () => {
  const trained = { best: { epoch: 2, validation_accuracy: 90 }, metrics: { validation_accuracy: 80, test_accuracy: 85 } };
  assert.equal(metricOf(job(trained), "validation_accuracy"), 90);
  assert.equal(text("test", trained), "85.00 %");
  assert.equal(text("test", {}), "");
});

test("validation of searches and of retrained cells are never mixed", () => {
  const best = { epoch: 1, validation_accuracy: 90 };
  assert.deepEqual([text("search_validation", { best }), text("evaluation_validation", { best })], ["90.00 %", ""]);
  const retrained = { best, kind: /** @type {Kind} */ ("evaluation") };
  assert.deepEqual([text("search_validation", retrained), text("evaluation_validation", retrained)], ["", "90.00 %"]);
  assert.equal(COLUMNS.search_validation.sort, "-search.validation_accuracy");
});

test("the address names other columns than the first ones", () => {
  const first = chosenColumns(new URLSearchParams());
  assert.equal(asColumns(first), "");
  assert.deepEqual(chosenColumns(new URLSearchParams({ columns: "name,nothing,seed" })), ["name", "seed"]);
  assert.deepEqual(chosenColumns(new URLSearchParams({ columns: "nothing" })), first);
  assert.equal(asColumns(["seed", "name"]), "name,seed");
});

test("a second click on a head turns the order around", () => {
  assert.equal(nextOrder("-test_accuracy", "-created_at"), "-test_accuracy");
  assert.equal(nextOrder("-test_accuracy", "-test_accuracy"), "test_accuracy");
  assert.equal(nextOrder("-test_accuracy", "test_accuracy"), "-test_accuracy");
  assert.equal(nextOrder("name", "name"), "-name");
  assert.equal(direction(COLUMNS.test, "-test_accuracy"), "descending");
  assert.equal(direction(COLUMNS.name, "name"), "ascending");
  assert.equal(direction(COLUMNS.name, "-test_accuracy"), null);
  assert.equal(direction(COLUMNS.seed, "name"), null);
});

test("CSV quotes what needs it and hides no formula", () => {
  const jobs = [job({ id: "1", name: 'a "b", c', parameters: 1234 }), job({ id: "2", name: "=HYPERLINK(1)" })];
  const lines = csvOf(jobs, ["name", "parameters"]).split("\r\n");
  assert.deepEqual(lines, ["id,Job,Parameters", '1,"a ""b"", c",1234', "2,'=HYPERLINK(1),"]);
});
