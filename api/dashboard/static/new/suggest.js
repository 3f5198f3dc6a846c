/** Shows in the form's empty fields the values that the API would fill in. */

/** The kind of preset of each part of a composite job. @type {Record<string, Pick<Context, "kind" | "short">>} */
const PARTS = {
  search: { kind: "search" },
  short_retrain: { kind: "evaluation", short: true },
  final: { kind: "evaluation" },
  evaluation: { kind: "evaluation" },
};

/**
 * Show in each empty field its default: the preset's value, otherwise the schema's.
 * @typedef {{ kind: string | null, family: Family, datasets: Dataset[], presets: Preset[], short?: boolean }} Context
 * @param {import("./groups.js").Group} group
 * @param {Context} context
 * @param {unknown} dataset the data set of a group that names none
 */
export function suggest(group, context, dataset = undefined) {
  const { kind, family, datasets, presets, short = false } = context;
  /** @param {string} name */
  const given = (name) => group.input(name)?.read();
  const fitting = presets.filter((each) => each.kind === kind && each.family === family);
  const names = fitting.filter(({ latest }) => latest).map(({ name }) => name);
  const of = datasets.find(({ name }) => name === (given("dataset") ?? dataset));
  const named = given("preset") ?? usual(of?.preset, names, short);
  const version = given("preset_version");
  const preset = fitting.find((each) => each.name === named && (version ? each.version === version : each.latest));
  for (const input of group.leaves) input.suggest(preset?.values[input.name] ?? input.about.default);
  group.leaf("preset")?.suggest(named ?? names.join(", "));
  if (dataset) group.leaf("dataset")?.suggest(dataset);
  const search = group.parts.find(({ name }) => name === "search");
  for (const part of group.parts) {
    const inherited = part.name in PARTS && part !== search ? search?.input("dataset")?.read() : undefined;
    suggest(part, { ...context, ...(PARTS[part.name] ?? { kind: null, short: false }) }, inherited);
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
