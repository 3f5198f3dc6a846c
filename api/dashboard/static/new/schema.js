/** Reads the form's fields from the request models in the service's OpenAPI document. */
import { get } from "../lib/http.js";

/** @type {Record<string, Record<Family, string>>} */
const MODELS = {
  search: { cnn: "SearchCreate", rnn: "RnnSearchCreate" },
  evaluation: { cnn: "EvaluationCreate", rnn: "RnnEvaluationCreate" },
  score: { cnn: "ScoreCreate", rnn: "ScoreCreate" },
  ensemble: { cnn: "EnsembleCreate", rnn: "EnsembleCreate" },
  study: { cnn: "StudyCreate", rnn: "RnnStudyCreate" },
  committee: { cnn: "CommitteeCreate", rnn: "RnnCommitteeCreate" },
};

/** Kinds whose family follows from the jobs that they refer to. */
export const WITHOUT_FAMILY = new Set(["score", "ensemble"]);

const TRAINING = ["dataset", "preset", "epochs", "seed"];

/** The first fields of a kind or of a part of it. "All settings" holds the others. @type {Record<string, string[]>} */
const FIRST = {
  search: ["name", "dataset", "preset", "epochs", "seed", "space", "order"],
  evaluation: ["name", "search_id", "epoch", "genotype", "dataset", "preset", "epochs", "seed"],
  score: ["name", "evaluation_id", "search_id", "checkpoint_id", "epoch", "dataset"],
  ensemble: ["name", "dataset", "combine", "curve", "members", "select"],
  study: ["name", "seeds", "final_runs", "enough", "enough_final"],
  committee: ["name", "spaces", "seeds", "enough", "search", "evaluation", "ensemble"],
  "study.search": ["dataset", "preset", "epochs", "space", "order"],
  "study.short_retrain": TRAINING,
  "study.final": TRAINING,
  "committee.search": ["dataset", "preset", "epochs", "order"],
  "committee.evaluation": TRAINING,
  "committee.ensemble": ["combine", "curve"],
};

/** Fields that the form has elsewhere or the service fills in. */
const LEFT_OUT = new Set(["family", "method", "unrolled", "dataset_checksum", "text_checksum", "text_version"]);
/** Fields of a part that its composite job sets. @type {Record<string, string[]>} */
const SET_BY_PARENT = { "study.search": ["seed"], "committee.search": ["seed", "space", "primitives"] };

/**
 * The fields of a kind of job; some are groups of fields.
 * @param {string} kind
 * @param {Family} family
 * @param {AbortSignal} signal
 */
export async function formOf(kind, family, signal) {
  const { components } = await get("/openapi.json", { signal });
  return group(kind, components.schemas[MODELS[kind][family]], components.schemas, kind);
}

/**
 * @param {string} name
 * @param {Schema} schema
 * @param {Schemas} schemas
 * @param {string} place in the body, as "study.search"
 * @returns {GroupField}
 */
export function group(name, { properties = {}, required = [] }, schemas, place) {
  const left = SET_BY_PARENT[place] ?? [];
  const fields = Object.entries(properties)
    .filter(([each]) => !LEFT_OUT.has(each) && !left.includes(each))
    .map(([each, schema]) => describe(each, schema, schemas, required.includes(each), `${place}.${each}`));
  return { name, type: "group", fields, first: FIRST[place] ?? fields.map((field) => field.name) };
}

/**
 * One field: its type, possible values and default.
 * @param {string} name
 * @param {Schema} schema
 * @param {Schemas} schemas
 * @param {boolean} required
 * @param {string} place
 * @returns {Field}
 */
function describe(name, schema, schemas, required, place) {
  /** @param {Schema} form */
  const resolved = (form) => (form.$ref ? schemas[form.$ref.slice(form.$ref.lastIndexOf("/") + 1)] : form);
  const forms = (schema.anyOf ?? [schema]).map(resolved);
  const form = forms.find(({ type }) => type !== "null") ?? {};
  const about = { name, required, about: schema.description ?? "", default: schema.default };
  if (forms.some(({ type }) => type === "string") && !form.enum) return { ...about, type: "text", long: name === "genotype" };
  if (form.properties) return { ...about, ...group(name, form, schemas, place) };
  const item = form.items && resolved(form.items);
  if (item?.properties) return { ...about, type: "rows", row: group(name, item, schemas, place), least: form.minItems ?? 0 };
  if (item?.enum) return { ...about, type: "choices", values: item.enum };
  if (item) return { ...about, type: "list" };
  if (form.enum) return { ...about, type: "choice", values: form.enum };
  if (form.type === "boolean" || form.type === "object") return { ...about, type: form.type };
  if (form.type !== "integer" && form.type !== "number") return { ...about, type: "array" };
  const whole = form.type === "integer";
  const below = whole && form.exclusiveMaximum ? form.exclusiveMaximum - 1 : form.exclusiveMaximum;
  return { ...about, type: form.type, whole, min: form.minimum ?? form.exclusiveMinimum, max: form.maximum ?? below };
}
