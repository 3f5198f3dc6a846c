import assert from "node:assert/strict";
import test from "node:test";
import { caveatOf, isOffered, stateOf } from "../../api/dashboard/static/lib/datasets.js";

/** @param {Partial<Dataset>} fields @returns {Dataset} */
function dataset(fields) {
  return { name: "pets", kind: "images", source: "built-in", state: "ready", preset: "cifar10", ...fields };
}

const CIFAR10 = dataset({ availability: "downloads on first use", held_by: ["a", "b"], files: ["cifar-10-batches-py/test_batch"] });
const IMAGENET = dataset({ availability: "needs files", held_by: [], files: ["imagenet/train", "imagenet/val"] });
const FAILED = dataset({ source: "upload", state: "failed", availability: null, error: "one class only" });
const CHECKED = dataset({ source: "upload", state: "checking", availability: null });
const READY = dataset({ availability: "ready", held_by: null });

test("the state of a published set is that of its files, the state of an upload that of its check", () => {
  const states = ["downloads on first use", "needs files", "failed", "checking", "ready"];
  assert.deepEqual([CIFAR10, IMAGENET, FAILED, CHECKED, READY].map(stateOf), states);
});

test("uploads that failed or are checked are not offered", () => {
  assert.deepEqual([CIFAR10, IMAGENET, FAILED, CHECKED, READY].map(isOffered), [true, true, false, false, true]);
});

test("a sentence says what a set that is not ready lacks", () => {
  assert.match(caveatOf(CIFAR10) ?? "", /^Of the connected workers, a and b have its files\. .* needs a network\.$/);
  assert.match(caveatOf({ ...CIFAR10, held_by: ["a"] }) ?? "", /, a has its files\. The first job on each other worker /);
  assert.match(caveatOf({ ...CIFAR10, held_by: [] }) ?? "", /^No worker has its files\. The first job on a worker /);
  assert.equal(caveatOf(IMAGENET), "No worker has its files. Put imagenet/train and imagenet/val under the data root of every worker.");
  assert.equal(caveatOf(FAILED), "Its check failed: one class only");
  assert.equal(caveatOf(READY), null);
});
