import assert from "node:assert/strict";
import test from "node:test";
import { copyOf, overrides } from "../../api/dashboard/static/new/overrides.js";
import { job, method } from "./examples.js";

/** @type {Preset[]} */
const PRESETS = [
  { kind: "search", family: "cnn", name: "small", version: 2, latest: true, values: { epochs: 50, alpha_lr: 0.02 } },
  { kind: "search", family: "cnn", name: "small", version: 1, latest: false, values: { epochs: 25 } },
];

const METHODS = [
  method("darts"),
  method("gdas", { temperature_start: 10, temperature_end: 0.1 }),
  method("beta-darts", { beta_regularisation: null }),
];
const USUAL = { presets: PRESETS, methods: METHODS };

/** @param {string} name @param {unknown} usual @returns {Field} */
const number = (name, usual) => ({ name, required: false, about: "", default: usual, type: "number", whole: false });
const FORM = { fields: [number("grad_clip", 5), number("seed", 0)] };
const SPEC = { family: /** @type {const} */ ("cnn"), dataset: "digits", preset: "small", preset_version: 2, space: "darts" };

/** @param {Record<string, unknown>} spec */
const repeated = (spec) => overrides(job({ spec: { ...SPEC, ...spec } }), USUAL, FORM);

test("values of the preset and the schema are left out", () => {
  assert.deepEqual(repeated({ epochs: 50, alpha_lr: 0.02, grad_clip: 5, seed: 0, primitives: ["skip_connect"], dataset_checksum: "x" }), {
    family: "cnn",
    dataset: "digits",
    preset: "small",
    space: "darts",
  });
});

test("other values are kept", () => {
  const given = repeated({ epochs: 3, grad_clip: 1, cutout: null });
  assert.deepEqual([given.epochs, given.grad_clip, "cutout" in given], [3, 1, false]);
});

test("the method is named unless it is the default, with the fields that differ from its own defaults", () => {
  const form = { fields: [...FORM.fields, number("method", "darts"), number("temperature_end", null)] };
  /** @param {Record<string, unknown>} spec */
  const cloned = (spec) => overrides(job({ spec: { ...SPEC, ...spec } }), USUAL, form);
  assert.equal("method" in cloned({ method: "darts", temperature_end: null }), false);
  const given = cloned({ method: "gdas", temperature_start: 10, temperature_end: 0.5 });
  assert.deepEqual([given.method, "temperature_start" in given, given.temperature_end], ["gdas", false, 0.5]);
  assert.equal(cloned({ method: "beta-darts", beta_regularisation: 25 }).beta_regularisation, 25);
});

test("a grid of methods leaves no field of one of them in the search", () => {
  const search = { family: "cnn", dataset: "digits", method: "beta-darts", beta_regularisation: 25, epochs: 7 };
  const points = ["beta-darts", "darts"].map((method) => ({ values: { method }, search, short_retrain: search, final: search }));
  const spec = { family: /** @type {const} */ ("cnn"), dataset: "digits", points, seeds: [0], final_runs: 1, enough: 1, enough_final: 1 };
  const given = /** @type {Record<string, Record<string, unknown>>} */ (overrides(job({ kind: "study", spec }), USUAL, { fields: [] }));
  assert.deepEqual(given.grid, { method: ["beta-darts", "darts"] });
  assert.deepEqual(given.search, { family: "cnn", dataset: "digits", epochs: 7 });
});

test("an older version of a preset is named", () => {
  const given = repeated({ preset_version: 1, epochs: 25 });
  assert.deepEqual([given.preset_version, "epochs" in given], [1, false]);
});

test("the frame's defaults are left out", () => {
  const given = overrides(job({ spec: SPEC, priority: 9, labels: { by: "me" }, pool: "default" }), USUAL, FORM);
  assert.deepEqual([given.priority, given.labels, "pool" in given, "name" in given], [9, { by: "me" }, false, false]);
  assert.equal("preemptible" in given, false);
  assert.equal(overrides(job({ spec: SPEC, preemptible: false }), USUAL, FORM).preemptible, false);
  assert.equal("labels" in repeated({}), false);
});

test("a score names the job of its checkpoint", () => {
  const links = /** @type {Links} */ ({ self: "/scores/1", evaluation: "/evaluations/22" });
  assert.deepEqual(overrides(job({ kind: "score", links }), USUAL, FORM), { dataset: "digits", evaluation_id: "22" });
});

test("an ensemble names scores, evaluations and uploaded checkpoints", () => {
  const members = [
    { id: "c1", source: "evaluation", job_id: "e1", score_id: "s1", epoch: 1 },
    { id: "c2", source: "evaluation", job_id: "e2", score_id: null, epoch: 4 },
    { id: "c3", source: "upload", job_id: null, score_id: null, epoch: 1 },
  ];
  const spec = {
    family: /** @type {const} */ ("cnn"),
    dataset: "digits",
    combine: "sum",
    select: null,
    curve: false,
    batch_size: 256,
    members,
  };
  const given = overrides(job({ kind: "ensemble", spec }), USUAL, FORM);
  assert.deepEqual(given.members, [{ score_id: "s1" }, { evaluation_id: "e2", epoch: 4 }, { checkpoint_id: "c3" }]);
  assert.equal(given.batch_size, undefined);
});

test("a study's grid holds each value once and its parts repeat neither grid nor data set", () => {
  const part = { family: "cnn", dataset: "digits", preset: "small", preset_version: 2, epochs: 7 };
  const points = [1, 2, 1].map((order) => ({
    values: { order },
    search: { ...part, order },
    short_retrain: part,
    final: { ...part, dataset: "cifar10" },
  }));
  const spec = {
    family: /** @type {const} */ ("cnn"),
    dataset: "digits",
    points,
    seeds: [0, 1],
    final_runs: 1,
    enough: 2,
    enough_final: 1,
  };
  const given = /** @type {Record<string, Record<string, unknown>>} */ (overrides(job({ kind: "study", spec }), USUAL, { fields: [] }));
  assert.deepEqual(given.grid, { order: [1, 2] });
  assert.deepEqual([given.search.order, given.search.epochs], [undefined, 7]);
  assert.deepEqual([given.short_retrain.dataset, given.final.dataset], [undefined, "cifar10"]);
  assert.deepEqual(given.seeds, [0, 1]);
});

test("a copy has a name of its own", () => {
  assert.deepEqual(["X", "X (copy)", "X (copy 2)"].map(copyOf), ["X (copy)", "X (copy 2)", "X (copy 3)"]);
  assert.equal(copyOf("x".repeat(200)).length, 200);
});
