/** Which presets the parts of a tree start from. */
const PARTS = {
  search: { kind: "search" },
  short_retrain: { kind: "evaluation", short: true },
  final: { kind: "evaluation" },
  evaluation: { kind: "evaluation" },
};

/**
 * Show in each empty field what stands there when nothing is said: the preset's value, else the schema's.
 * about: { kind, family, datasets, presets, short }. dataset: what the group works on unless it says so itself.
 */
export function suggest(group, about, dataset = undefined) {
  const { kind, family, datasets, presets } = about;
  const said = (name) => group.input(name)?.read();
  const names = presets.filter((each) => each.kind === kind && each.family === family && each.latest).map(({ name }) => name);
  const of = datasets.find(({ name }) => name === (said("dataset") ?? dataset));
  const named = said("preset") ?? usual(of?.preset, names, about.short);
  const version = said("preset_version");
  const fits = (each) => each.kind === kind && each.family === family && each.name === named;
  const preset = presets.find((each) => fits(each) && (version ? each.version === version : each.latest));
  for (const input of group.leaves) input.suggest(preset?.values[input.name] ?? input.about.default);
  group.input("preset")?.suggest(named ?? names.join(", "));
  if (dataset) group.input("dataset")?.suggest(dataset);
  const data = group.input("search")?.input?.("dataset")?.read();
  for (const part of group.parts) {
    const inherited = part.name in PARTS && part.name !== "search" ? data : undefined;
    if (part.leaves) suggest(part, { ...about, kind: null, short: false, ...PARTS[part.name] }, inherited);
  }
}

/** The preset that the service takes for a data set; candidates are trained with the short one, where there is one. */
function usual(preset, names, short) {
  return short && names.includes(`${preset}-short`) ? `${preset}-short` : preset;
}
