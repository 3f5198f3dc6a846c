/** What a service fills in by itself, so that a copy leaves it to be filled in again. */
const RESOLVED = new Set(["dataset_checksum", "text_checksum", "text_version", "unrolled", "stem", "method"]);
const FRAME = ["name", "labels", "priority", "pool", "gpus", "max_attempts", "max_runtime"];
const USUAL = { priority: 5, pool: "default", gpus: 1, max_attempts: 3 };

/** What to say for the same job once more: the values that its preset would not give. */
export function overrides(job, presets) {
  const { spec, kind } = job;
  const preset = presets.find(
    (each) => each.kind === kind && each.family === spec.family && each.name === spec.preset && each.version === spec.preset_version,
  );
  const said = {};
  for (const name of FRAME) {
    const value = job[name];
    if (value !== null && value !== USUAL[name] && (name !== "labels" || Object.keys(value).length)) said[name] = value;
  }
  for (const [name, value] of Object.entries(spec)) {
    if (RESOLVED.has(name) || value === null) continue;
    if (name === "primitives" && spec.space) continue;
    if (name === "preset_version" && preset?.latest) continue;
    if (preset && name in preset.values && same(preset.values[name], value) && name !== "preset") continue;
    said[name] = value;
  }
  if (kind === "score") return scoreOf(job);
  return said;
}

/** A score's spec holds what was measured; asking for it again names where that came from. */
function scoreOf(job) {
  const { links, spec } = job;
  const said = { dataset: spec.dataset };
  for (const source of ["evaluation", "search"]) if (links[source]) said[`${source}_id`] = links[source].split("/").at(-1);
  return said;
}

function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}
