/** Computes the request that repeats a job: only the values that its presets and the API's defaults do not give. */
import { get } from "../lib/http.js";
import { fieldOf, isForeign } from "./methods.js";

const LONGEST_NAME = 200;
/** Values that the API fills in. */
const RESOLVED = new Set(["dataset_checksum", "text_checksum", "text_version", "unrolled", "stem"]);
const FRAME = /** @type {const} */ ([
  "name",
  "labels",
  "project",
  "priority",
  "preemptible",
  "pool",
  "gpus",
  "max_attempts",
  "max_runtime",
  "window",
  "time_zone",
]);
/** @type {Record<string, unknown>} */
const DEFAULTS = { priority: 5, preemptible: true, pool: "default", gpus: 1, max_attempts: 3, time_zone: "UTC" };

/**
 * @typedef {Record<string, unknown>} Values
 * @typedef {{ presets: Preset[], methods: Method[] }} Defaults
 * @typedef {Pick<GroupField, "fields">} Form
 * @typedef {Pick<Job, "kind" | "spec" | "links" | typeof FRAME[number]>} Source
 */

/**
 * The values to ask for the same job again.
 * @param {Source} job
 * @param {Defaults} defaults
 * @param {Form} form the fields of the job's kind
 * @returns {Values}
 */
export function overrides(job, defaults, form) {
  /** @type {Values} */
  const given = {};
  for (const name of FRAME) {
    const value = job[name];
    if (value !== null && value !== DEFAULTS[name] && (name !== "labels" || Object.keys(job.labels).length)) given[name] = value;
  }
  if (job.name) given.name = copyOf(job.name);
  const { spec, kind } = job;
  if (kind === "score") return { ...given, ...scoreOf(job) };
  if (kind === "ensemble") return { ...given, ...ensembleOf(/** @type {EnsembleSpec} */ (spec)) };
  if (kind === "study") return { ...given, ...studyOf(/** @type {StudySpec} */ (spec), defaults, form) };
  if (kind === "committee") return { ...given, ...committeeOf(/** @type {CommitteeSpec} */ (spec), defaults, form) };
  return { ...given, ...ownValues(spec, kind, defaults, form) };
}

/**
 * The name of a copy: "X (copy)", then "X (copy 2)".
 * @param {string} name
 */
export function copyOf(name) {
  const [, own, count] = /^(.*?)(?: \(copy(?: (\d+))?\))?$/s.exec(name) ?? [];
  const suffix = own === name ? " (copy)" : ` (copy ${Number(count ?? 1) + 1})`;
  return own.slice(0, LONGEST_NAME - suffix.length) + suffix;
}

/**
 * Where an evaluation's cell is from: its search and the epoch that found it, in place of the genotype. Null where the
 * search is gone or no epoch of it has that cell.
 * @param {Job} job
 * @param {AbortSignal} signal
 */
export async function cellOf({ kind, spec, links }, signal) {
  if (kind !== "evaluation" || !links.search) return null;
  const answer = await get(`${/** @type {"/jobs/"} */ (links.search)}/epochs`, { signal }).catch(() => null);
  const found = /** @type {SearchEpoch[]} */ (answer?.items ?? []).findLast(({ genotype }) => same(genotype, spec.genotype));
  return found ? { genotype: undefined, search_id: links.search.split("/").at(-1), epoch: found.epoch } : null;
}

/**
 * The values of a spec that neither its preset nor the schema gives.
 * @param {JobSpec} spec
 * @param {Kind} kind
 * @param {Defaults} defaults
 * @param {Form} form
 */
function ownValues(spec, kind, defaults, form) {
  const preset = defaults.presets.find(
    (each) => each.kind === kind && each.family === spec.family && each.name === spec.preset && each.version === spec.preset_version,
  );
  /** @type {Values} */
  const given = {};
  for (const [name, value] of Object.entries(spec)) {
    if (RESOLVED.has(name) || value === null) continue;
    if (name === "primitives" && spec.space) continue;
    if (name === "preset_version" && preset?.latest) continue;
    const field = form.fields.find((each) => each.name === name);
    const own = fieldOf(defaults.methods, spec.method, name);
    const usual = preset?.values[name] ?? (own ?? (field && "default" in field ? field : undefined))?.default;
    if (name !== "preset" && same(usual, value)) continue;
    given[name] = value;
  }
  return given;
}

/**
 * A score's spec holds the checkpoint's values; the request names the job that the checkpoint is from.
 * @param {Pick<Job, "links" | "spec">} job
 */
function scoreOf({ links, spec }) {
  /** @type {Values} */
  const given = { dataset: spec.dataset };
  for (const source of ["evaluation", "search"]) if (links[source]) given[`${source}_id`] = links[source].split("/").at(-1);
  return given;
}

/** @param {EnsembleSpec} spec */
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

/** @param {StudySpec} spec @param {Defaults} defaults @param {Form} form */
function studyOf({ points, seeds, final_runs, enough, enough_final, strategy }, defaults, form) {
  const [{ search, short_retrain, final }] = points;
  const grid = axes(points);
  const parts = partsOf({ search, short_retrain, final }, grid, defaults, form);
  if (!strategy) return { seeds, final_runs, enough, enough_final, ...parts, grid };
  delete parts.search.epochs; // the strategy has them
  return { seeds, final_runs, enough_final, strategy, ...parts, grid };
}

/** @param {CommitteeSpec} spec @param {Defaults} defaults @param {Form} form */
function committeeOf({ points, seeds, enough, ensemble }, defaults, form) {
  const [{ search, evaluation }] = points;
  const spaces = axes(points).space;
  return { spaces, seeds, enough, ensemble, ...partsOf({ search, evaluation }, { space: spaces, primitives: [] }, defaults, form) };
}

/**
 * The distinct values of a grid by name.
 * @param {Axes[]} points
 */
function axes(points) {
  const names = Object.keys(points[0].values);
  return Object.fromEntries(names.map((name) => [name, [...new Set(points.map(({ values }) => values[name]))]]));
}

/**
 * The own values of a composite job's parts, without those of the grid and without the search's data set in later parts.
 * @param {Record<string, JobSpec>} specs
 * @param {Record<string, unknown[]>} grid
 * @param {Defaults} defaults
 * @param {Form} form
 */
function partsOf(specs, grid, defaults, form) {
  /** @type {Record<string, Values>} */
  const given = {};
  for (const [name, spec] of Object.entries(specs)) {
    const part = form.fields.find((field) => field.name === name);
    const fields = part && "fields" in part ? part.fields : [];
    const values = ownValues(spec, name === "search" ? "search" : "evaluation", defaults, { fields });
    if (name === "search") {
      for (const axis of Object.keys(grid)) delete values[axis];
      const foreign = Object.keys(values).filter((field) => grid.method?.some((method) => isForeign(defaults.methods, method, field)));
      for (const field of foreign) delete values[field];
    }
    if (name !== "search" && spec.dataset === specs.search.dataset) delete values.dataset;
    // With a grid of data sets, each starts from its own preset.
    if (grid.dataset) delete values.preset;
    given[name] = values;
  }
  return given;
}

/** @param {unknown} a @param {unknown} b */
function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}
