import assert from "node:assert/strict";
import test from "node:test";
import { fieldsOf, group, hasNoFamily } from "../../api/dashboard/static/new/schema.js";

/** @type {Schemas} */
const SCHEMAS = {
  Order: { enum: [1, 2] },
  Row: { properties: { epoch: { type: "integer", minimum: 1 } }, required: ["epoch"] },
  Part: { properties: { seed: { type: "integer" }, dataset: { type: "string" }, alpha_lr: { type: "number" } } },
};

/** @type {Form} */
const FORM = {
  kind: "study",
  collection: "/studies",
  models: { cnn: "StudyCreate", rnn: "RnnStudyCreate" },
  submit: "Start the study",
  about: "",
  first: { search: ["dataset", "preset"] },
  hidden: { search: ["seed"] },
  presets: {},
};

/** @param {Schema} schema @returns {Field} */
function field(schema, required = false) {
  const of = { properties: { it: schema }, required: required ? ["it"] : [] };
  return group("search", of, SCHEMAS, "", FORM).fields[0];
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
  assert.equal(part.nullable, false);
  const optional = field({ anyOf: [{ $ref: "#/components/schemas/Part" }, { type: "null" }] });
  assert.ok(optional.type === "group");
  assert.equal(optional.nullable, true);
  assert.deepEqual(part.fields.map(({ name }) => name), ["seed", "dataset", "alpha_lr"]); // biome-ignore format: one line
});

test("descriptions, defaults and required fields are kept", () => {
  const { about, required, ...rest } = /** @type {Named} */ (field({ type: "integer", description: "how many", default: 3 }, true));
  assert.deepEqual([about, required, rest.default], ["how many", true, 3]);
});

test("the hints of a form say which fields come first and which are hidden; the form sets the family", () => {
  const study = { properties: { search: { $ref: "#/components/schemas/Part" }, family: { type: "string" } } };
  const [search, ...others] = fieldsOf(FORM, "rnn", { ...SCHEMAS, RnnStudyCreate: study }).fields;
  assert.ok(search.type === "group");
  assert.deepEqual(search.fields.map(({ name }) => name), ["dataset", "alpha_lr"]); // biome-ignore format: one line
  assert.deepEqual(search.first, ["dataset", "preset"]);
  assert.deepEqual(others, []);
});

test("a form of one model for all families has no family", () => {
  assert.equal(hasNoFamily(FORM), false);
  assert.equal(hasNoFamily({ ...FORM, models: { "": "ScoreCreate" } }), true);
});
