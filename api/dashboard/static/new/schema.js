import { get } from "../lib/http.js";

const MODELS = {
  search: { cnn: "SearchCreate", rnn: "RnnSearchCreate" },
  evaluation: { cnn: "EvaluationCreate", rnn: "RnnEvaluationCreate" },
  score: { cnn: "ScoreCreate", rnn: "ScoreCreate" },
  ensemble: { cnn: "EnsembleCreate", rnn: "EnsembleCreate" },
  study: { cnn: "StudyCreate", rnn: "RnnStudyCreate" },
  committee: { cnn: "CommitteeCreate", rnn: "RnnCommitteeCreate" },
};

/** Kinds whose family follows from what they name. */
export const WITHOUT_FAMILY = new Set(["score", "ensemble"]);

const TRAINING = ["dataset", "preset", "epochs", "seed"];

/** What comes first, of a kind of job and of a part of one; everything else stands behind "All settings". */
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

/** What the form says elsewhere, or the service fills in. */
const LEFT_OUT = new Set(["family", "method", "unrolled", "dataset_checksum", "text_checksum", "text_version"]);
/** What a tree says for all searches at once. */
const SAID_BY = { "study.search": ["seed"], "committee.search": ["seed", "space", "primitives"] };

/** A kind of job as the service's own OpenAPI document has it: a group of fields, some of them groups again. */
export async function formOf(kind, family, signal) {
  const { components } = await get("/openapi.json", { signal });
  return group(kind, components.schemas[MODELS[kind][family]], components.schemas, kind);
}

/** place: where in the body, as "study.search". */
function group(name, { properties, required = [] }, schemas, place) {
  const left = SAID_BY[place] ?? [];
  const fields = Object.entries(properties)
    .filter(([each]) => !LEFT_OUT.has(each) && !left.includes(each))
    .map(([each, schema]) => describe(each, schema, schemas, required.includes(each), `${place}.${each}`));
  return { name, type: "group", fields, first: FIRST[place] ?? fields.map((field) => field.name) };
}

/** One field: its type, what it may be, and what it is when nothing is said. */
function describe(name, schema, schemas, required, place) {
  const resolved = (form) => (form?.$ref ? schemas[form.$ref.split("/").at(-1)] : form);
  const forms = (schema.anyOf ?? [schema]).map(resolved);
  const form = forms.find(({ type }) => type !== "null") ?? {};
  const about = { name, required, about: schema.description ?? "", default: schema.default };
  if (forms.some(({ type }) => type === "string") && !form.enum) return { ...about, type: "text", long: name === "genotype" };
  if (form.properties) return { ...about, ...group(name, form, schemas, place) };
  const item = resolved(form.items);
  if (item?.properties) return { ...about, type: "rows", row: group(name, item, schemas, place), least: form.minItems ?? 0 };
  if (item?.enum) return { ...about, type: "choices", values: item.enum };
  if (item) return { ...about, type: "list" };
  return {
    ...about,
    type: form.enum ? "choice" : form.type,
    values: form.enum ?? [],
    whole: form.type === "integer",
    min: form.minimum ?? form.exclusiveMinimum,
    max: form.maximum ?? (form.type === "integer" && form.exclusiveMaximum ? form.exclusiveMaximum - 1 : form.exclusiveMaximum),
  };
}
