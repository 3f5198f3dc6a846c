import assert from "node:assert/strict";
import test from "node:test";
import { fieldOf, fitting, isForeign, startOf } from "../../api/dashboard/static/new/methods.js";
import { method } from "./examples.js";

const METHODS = [
  method("darts", { weights_only_epochs: 0 }),
  method("gdas", { temperature_start: 10, weights_only_epochs: 0 }),
  method("drnas", { weights_only_epochs: 0 }, ["cnn"]),
];
/** @type {Named} */
const named = { name: "method", required: false, about: "", default: "darts" };
/** @type {Field} */
const CHOICE = { ...named, type: "choice", values: ["darts", "gdas", "drnas"] };

/** @param {Family} family */
function offered(family) {
  /** @type {GroupField} */
  const form = {
    type: "group",
    name: "study",
    first: [],
    fields: [CHOICE, { ...named, name: "search", type: "group", first: [], fields: [CHOICE] }, { ...named, type: "list" }],
  };
  const [own, search, grid] = fitting(form, METHODS, family).fields;
  assert.ok(search.type === "group");
  assert.equal(grid.type, "list");
  return [own, ...search.fields].map((field) => (field.type === "choice" ? field.values : null));
}

test("the methods of a family are offered in every part of the form", () => {
  assert.deepEqual(offered("cnn"), [CHOICE.values, CHOICE.values]);
  assert.deepEqual(offered("rnn"), [["darts", "gdas"], ["darts", "gdas"]]); // biome-ignore format: a table
});

test("a field belongs to the methods that have it", () => {
  assert.equal(isForeign(METHODS, "darts", "temperature_start"), true);
  assert.equal(isForeign(METHODS, "gdas", "temperature_start"), false);
  assert.equal(isForeign(METHODS, "darts", "weights_only_epochs"), false);
  assert.equal(isForeign(METHODS, "darts", "epochs"), false);
});

test("a method gives defaults to its fields alone", () => {
  assert.equal(fieldOf(METHODS, "gdas", "temperature_start")?.default, 10);
  assert.equal(fieldOf(METHODS, "darts", "temperature_start"), undefined);
  assert.equal(fieldOf(METHODS, undefined, "temperature_start"), undefined);
});

test("a method may start common fields from values of its own", () => {
  const decaying = { ...method("r-darts-l2"), defaults: { weight_decay: 0.0081 } };
  assert.equal(startOf([...METHODS, decaying], "r-darts-l2", "weight_decay"), 0.0081);
  assert.equal(startOf([...METHODS, decaying], "darts", "weight_decay"), undefined);
});
