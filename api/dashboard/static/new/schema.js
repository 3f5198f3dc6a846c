import { get } from "../lib/http.js";

const MODELS = {
  search: { cnn: "SearchCreate", rnn: "RnnSearchCreate" },
  evaluation: { cnn: "EvaluationCreate", rnn: "RnnEvaluationCreate" },
  score: { cnn: "ScoreCreate", rnn: "ScoreCreate" },
};

/** What comes first in the form; everything else of the schema stands behind "All settings". */
export const FIRST = {
  search: ["name", "dataset", "preset", "epochs", "seed", "space", "order"],
  evaluation: ["name", "search_id", "epoch", "genotype", "dataset", "preset", "epochs", "seed"],
  score: ["name", "evaluation_id", "search_id", "checkpoint_id", "epoch", "dataset"],
};

/** What the form says elsewhere, or the service fills in. */
const LEFT_OUT = new Set(["family", "method", "unrolled", "dataset_checksum", "text_checksum", "text_version"]);

/** The fields of a kind of job, out of the service's own OpenAPI document. */
export async function fieldsOf(kind, family, signal) {
  const { components } = await get("/openapi.json", { signal });
  const { properties, required = [] } = components.schemas[MODELS[kind][family]];
  return Object.entries(properties)
    .filter(([name]) => !LEFT_OUT.has(name))
    .map(([name, schema]) => describe(name, schema, components.schemas, required.includes(name)));
}

/** One field: its type, what it may be, and what it is when nothing is said. */
function describe(name, schema, schemas, required) {
  const forms = (schema.anyOf ?? [schema]).map((form) => (form.$ref ? schemas[form.$ref.split("/").at(-1)] : form));
  const form = forms.find(({ type }) => type !== "null") ?? {};
  const text = forms.some(({ type }) => type === "string");
  return {
    name,
    required,
    about: schema.description ?? "",
    default: schema.default,
    type: form.enum ? "choice" : form.items?.enum ? "choices" : text ? "text" : form.type,
    values: form.enum ?? form.items?.enum ?? [],
    whole: form.type === "integer",
    min: form.minimum ?? form.exclusiveMinimum,
    max: form.maximum ?? (form.type === "integer" && form.exclusiveMaximum ? form.exclusiveMaximum - 1 : form.exclusiveMaximum),
    long: name === "genotype",
  };
}
