import assert from "node:assert/strict";
import test from "node:test";
import { group } from "../../api/dashboard/static/new/schema.js";

/** @type {Schemas} */
const SCHEMAS = {
  Order: { enum: [1, 2] },
  Row: { properties: { epoch: { type: "integer", minimum: 1 } }, required: ["epoch"] },
  Part: { properties: { seed: { type: "integer" }, dataset: { type: "string" }, alpha_lr: { type: "number" } } },
};

/** @param {Schema} schema @returns {Field} */
function field(schema, required = false) {
  const of = { properties: { it: schema }, required: required ? ["it"] : [] };
  return group("search", of, SCHEMAS, "search").fields[0];
}

/** @param {Schema} schema @param {Record<string, unknown>} expected */
function described(schema, expected) {
  const { name: _, required: __, about: ___, default: ____, ...rest } = /** @type {Record<string, unknown>} */ (field(schema));
  assert.deepEqual(rest, expected);
}

test("values have an input for their type", () => {
  described({ type: "string" }, { type: "text", long: false });
  described({ type: "boolean" }, { type: "boolean" });
  described({ type: "object" }, { type: "object" });
  described({ enum: ["a", "b"], type: "string" }, { type: "choice", values: ["a", "b"] });
  described({ anyOf: [{ $ref: "#/components/schemas/Order" }, { type: "null" }] }, { type: "choice", values: [1, 2] });
  described({ type: "array", items: { type: "integer" } }, { type: "list" });
  described({ type: "array", items: { enum: ["x"] } }, { type: "choices", values: ["x"] });
  described({ type: "array" }, { type: "array" });
});

test("integers have inclusive bounds", () => {
  described({ type: "integer", minimum: 1, exclusiveMaximum: 10 }, { type: "integer", whole: true, min: 1, max: 9 });
  described({ type: "number", exclusiveMinimum: 0, maximum: 1 }, { type: "number", whole: false, min: 0, max: 1 });
});

test("a value of several types is text", () => {
  described({ anyOf: [{ type: "integer" }, { type: "string" }] }, { type: "text", long: false });
});

test("lists of objects have rows and objects have fields", () => {
  const rows = field({ type: "array", items: { $ref: "#/components/schemas/Row" }, minItems: 2 });
  assert.ok(rows.type === "rows");
  assert.equal(rows.least, 2);
  assert.deepEqual([rows.row.fields[0].name, rows.row.fields[0].type], ["epoch", "integer"]);
  const part = field({ $ref: "#/components/schemas/Part" });
  assert.ok(part.type === "group");
  assert.deepEqual(part.fields.map(({ name }) => name), ["seed", "dataset", "alpha_lr"]); // biome-ignore format: one line
});

test("descriptions, defaults and required fields are kept", () => {
  const { about, required, ...rest } = /** @type {Named} */ (field({ type: "integer", description: "how many", default: 3 }, true));
  assert.deepEqual([about, required, rest.default], ["how many", true, 3]);
});

test("a study sets the seeds of its searches and the form sets the family", () => {
  const study = { properties: { search: { $ref: "#/components/schemas/Part" }, family: { type: "string" } } };
  const [search, ...others] = group("study", study, SCHEMAS, "study").fields;
  assert.ok(search.type === "group");
  assert.deepEqual(search.fields.map(({ name }) => name), ["dataset", "alpha_lr"]); // biome-ignore format: one line
  assert.deepEqual(search.first, ["dataset", "preset", "epochs", "space", "order"]);
  assert.deepEqual(others, []);
});
