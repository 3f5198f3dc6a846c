/** Shows in the form's empty fields the values that the API would fill in, and hides the fields of other methods. */
import { caveatOf } from "../lib/datasets.js";
import { fieldOf, isForeign, startOf } from "./methods.js";

/**
 * Show in each empty field its default: the preset's value, otherwise the search method's or the schema's.
 * @typedef {{ form: Form, family: Family, datasets: Dataset[], presets: Preset[], methods: Method[] }} Context
 * @param {import("./groups.js").Group} group
 * @param {Context} context
 * @param {unknown} dataset the data set of a group that names none
 * @param {string} place of the group in the body: "" or a part, as "search"
 */
export function suggest(group, context, dataset = undefined, place = "") {
  const { form, family, datasets, presets, methods } = context;
  const [kind, length] = form.presets[place]?.split(" ") ?? [];
  /** @param {string} name */
  const given = (name) => group.input(name)?.read();
  const fitting = presets.filter((each) => each.kind === kind && each.family === family);
  const names = fitting.filter(({ latest }) => latest).map(({ name }) => name);
  const of = datasets.find(({ name }) => name === (given("dataset") ?? dataset));
  const named = given("preset") ?? usual(of?.preset, names, length === "short");
  const version = given("preset_version");
  const preset = fitting.find((each) => each.name === named && (version ? each.version === version : each.latest));
  const method = given("method") ?? preset?.values.method ?? group.leaf("method")?.about.default;
  for (const input of group.leaves) {
    const own = fieldOf(methods, method, input.name);
    const start = startOf(methods, method, input.name) ?? preset?.values[input.name];
    input.suggest(start ?? own?.default ?? own?.rule ?? input.about.default);
    input.node.hidden = isForeign(methods, method, input.name);
  }
  group.leaf("preset")?.suggest(named ?? names.join(", "));
  if (dataset) group.leaf("dataset")?.suggest(dataset);
  group.leaf("dataset")?.add(of ? caveatOf(of) : null);
  const search = group.parts.find(({ name }) => name === "search");
  for (const part of group.parts) {
    const inherited = part.name in form.presets && part !== search ? search?.input("dataset")?.read() : undefined;
    suggest(part, context, inherited, part.name);
  }
}

/**
 * The preset that the API takes for a data set: the short one for candidates, if there is one.
 * @param {string | undefined} preset
 * @param {string[]} names
 * @param {boolean} short
 */
function usual(preset, names, short) {
  return short && names.includes(`${preset}-short`) ? `${preset}-short` : preset;
}
