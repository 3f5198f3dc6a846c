/** What a service fills in by itself, so that a copy leaves it to be filled in again. */
const RESOLVED = new Set(["dataset_checksum", "text_checksum", "text_version", "unrolled", "stem", "method"]);
const FRAME = ["name", "labels", "priority", "pool", "gpus", "max_attempts", "max_runtime"];
const USUAL = { priority: 5, pool: "default", gpus: 1, max_attempts: 3 };

/** What to say for the same job once more: the values that its presets would not give. form: of its kind. */
export function overrides(job, presets, form) {
  const said = {};
  for (const name of FRAME) {
    const value = job[name];
    if (value !== null && value !== USUAL[name] && (name !== "labels" || Object.keys(value).length)) said[name] = value;
  }
  const { spec, kind } = job;
  if (kind === "score") return { ...said, ...scoreOf(job) };
  if (kind === "ensemble") return { ...said, ...ensembleOf(spec) };
  if (kind === "study") return { ...said, ...studyOf(spec, presets, form) };
  if (kind === "committee") return { ...said, ...committeeOf(spec, presets, form) };
  return { ...said, ...own(spec, kind, presets, form) };
}

/** The values of one spec that neither its preset nor the schema gives. */
function own(spec, kind, presets, form) {
  const preset = presets.find(
    (each) => each.kind === kind && each.family === spec.family && each.name === spec.preset && each.version === spec.preset_version,
  );
  const said = {};
  for (const [name, value] of Object.entries(spec)) {
    if (RESOLVED.has(name) || value === null) continue;
    if (name === "primitives" && spec.space) continue;
    if (name === "preset_version" && preset?.latest) continue;
    const usual = preset?.values[name] ?? form.fields.find((field) => field.name === name)?.default;
    if (name !== "preset" && same(usual, value)) continue;
    said[name] = value;
  }
  return said;
}

/** A score's spec holds what was measured; asking for it again names where that came from. */
function scoreOf({ links, spec }) {
  const said = { dataset: spec.dataset };
  for (const source of ["evaluation", "search"]) if (links[source]) said[`${source}_id`] = links[source].split("/").at(-1);
  return said;
}

function ensembleOf({ members, dataset, combine, select, curve, batch_size: batch, family }) {
  return {
    dataset,
    combine,
    select: select ?? undefined,
    curve: curve ? true : undefined,
    batch_size: family === "rnn" || batch !== 256 ? batch : undefined,
    members: members.map(({ id, source, job_id: job, score_id: score, epoch }) => {
      if (score) return { score_id: score };
      return source === "evaluation" && job ? { evaluation_id: job, epoch } : { checkpoint_id: id };
    }),
  };
}

function studyOf({ points, seeds, final_runs, enough, enough_final }, presets, form) {
  const [{ search, short_retrain, final }] = points;
  const grid = axes(points);
  const parts = partsOf({ search, short_retrain, final }, Object.keys(grid), presets, form);
  return { seeds, final_runs, enough, enough_final, ...parts, grid };
}

function committeeOf({ points, seeds, enough, ensemble }, presets, form) {
  const [{ search, evaluation }] = points;
  const spaces = axes(points).space;
  return { spaces, seeds, enough, ensemble, ...partsOf({ search, evaluation }, ["space", "primitives"], presets, form) };
}

/** The values that a tree goes through, each by its name. */
function axes(points) {
  const names = Object.keys(points[0].values);
  return Object.fromEntries(names.map((name) => [name, [...new Set(points.map(({ values }) => values[name]))]]));
}

/** What each part of a tree says of itself: without what is gone through, and without the search's data once more. */
function partsOf(specs, gone, presets, form) {
  const said = {};
  for (const [name, spec] of Object.entries(specs)) {
    const part = form.fields.find((field) => field.name === name);
    said[name] = own(spec, name === "search" ? "search" : "evaluation", presets, part);
    if (name === "search") for (const axis of gone) delete said[name][axis];
    else if (spec.dataset === specs.search.dataset) delete said[name].dataset;
    // Each data set of several starts from its own preset.
    if (gone.includes("dataset")) delete said[name].preset;
  }
  return said;
}

function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}
