/** Reads the form's fields from the request models in the service's OpenAPI document. */
import { get } from "../lib/http.js";

/** Fields that the form has elsewhere or the service fills in. */
const LEFT_OUT = new Set(["family", "unrolled", "dataset_checksum", "text_checksum", "text_version", "extensions", "checksum"]);

/**
 * The forms of all kinds of job, by kind, and the schemas that they refer to.
 * @param {AbortSignal} signal
 */
export async function formsOf(signal) {
  const { components, paths } = await get("/openapi.json", { signal });
  const forms = Object.values(paths).flatMap(({ post }) => post?.["x-form"] ?? []);
  return { forms: new Map(forms.map((form) => [form.kind, form])), schemas: components.schemas };
}

/**
 * Whether the family follows from the jobs that a request refers to.
 * @param {Form} form
 */
export function hasNoFamily(form) {
  return "" in form.models;
}

/**
 * The fields of a kind of job; some are groups of fields.
 * @param {Form} form
 * @param {Family} family
 * @param {Schemas} schemas
 */
export function fieldsOf(form, family, schemas) {
  return group(form.kind, schemas[form.models[""] ?? form.models[family]], schemas, "", form);
}

/**
 * @param {string} name
 * @param {Schema} schema
 * @param {Schemas} schemas
 * @param {string} place in the body: "" or a part, as "search"
 * @param {Form} form
 * @returns {GroupField}
 */
export function group(name, { properties = {}, required = [] }, schemas, place, form) {
  const hidden = form.hidden[place] ?? [];
  const fields = Object.entries(properties)
    .filter(([each]) => !LEFT_OUT.has(each) && !hidden.includes(each))
    .map(([each, schema]) => describe(each, schema, schemas, required.includes(each), place ? `${place}.${each}` : each, form));
  return { name, type: "group", fields, first: form.first[place] ?? fields.map((field) => field.name) };
}

/**
 * One field: its type, possible values and default.
 * @param {string} name
 * @param {Schema} schema
 * @param {Schemas} schemas
 * @param {boolean} required
 * @param {string} place
 * @param {Form} of
 * @returns {Field}
 */
function describe(name, schema, schemas, required, place, of) {
  /** @param {Schema} form */
  const resolved = (form) => (form.$ref ? schemas[form.$ref.slice(form.$ref.lastIndexOf("/") + 1)] : form);
  const forms = (schema.anyOf ?? [schema]).map(resolved);
  const form = forms.find(({ type }) => type !== "null") ?? {};
  const about = { name, required, about: schema.description ?? "", default: schema.default };
  if (forms.some(({ type }) => type === "string") && !form.enum) return { ...about, type: "text", long: name === "genotype" };
  const nullable = forms.some(({ type }) => type === "null");
  const open = typeof form.additionalProperties === "object";
  if (form.properties) return { ...about, nullable, open, ...group(name, form, schemas, place, of) };
  const item = form.items && resolved(form.items);
  if (item?.properties) return { ...about, type: "rows", row: group(name, item, schemas, place, of), least: form.minItems ?? 0 };
  if (item?.enum) return { ...about, type: "choices", values: item.enum };
  if (item) return { ...about, type: "list" };
  if (form.enum) return { ...about, type: "choice", values: form.enum };
  if (form.type === "boolean" || form.type === "object") return { ...about, type: form.type };
  if (form.type !== "integer" && form.type !== "number") return { ...about, type: "array" };
  const whole = form.type === "integer";
  const below = whole && form.exclusiveMaximum ? form.exclusiveMaximum - 1 : form.exclusiveMaximum;
  return { ...about, type: form.type, whole, min: form.minimum ?? form.exclusiveMinimum, max: form.maximum ?? below };
}
