import assert from "node:assert/strict";
import test from "node:test";
import { allowed, apply, bestOf, ENDED, isComposite, share, title } from "../../api/dashboard/static/lib/jobs.js";
import { epoch, event, job } from "./examples.js";

test("a job without a name is called by its data set, kind and id", () => {
  assert.equal(title(job()), "digits search 98d05626");
  assert.equal(title(job({ name: "mine" })), "mine");
});

test("a job with children is composite", () => {
  assert.equal(isComposite(job()), false);
  assert.equal(isComposite(job({ links: { self: "/studies/1", children: "/studies/1/children" } })), true);
});

test("the service says which actions are possible", () => {
  const queued = job({ actions: ["cancel", "pause"] });
  assert.deepEqual([allowed("pause", queued), allowed("retry", queued)], [true, false]);
});

test("succeeded, failed and cancelled jobs have ended", () => {
  assert.deepEqual([...ENDED].sort(), ["cancelled", "failed", "succeeded"]);
});

test("progress counts whole epochs and the steps of the current one", () => {
  const at = { epoch: 3, epochs: 10, step: 5, steps: 10 };
  assert.equal(share(job({ progress: at })), 0.25);
  assert.equal(share(job({ progress: { ...at, step: 0, steps: 0, stage: "validation" } })), 0.2);
  assert.equal(share(job({ progress: { ...at, step: 0, steps: 0 } })), 0.3);
  assert.equal(share(job({ progress: null })), 0);
  assert.equal(share(job({ progress: null, status: "succeeded" })), 1);
});

test("the objective decides, and without validation data its test metric", () => {
  const best = { epoch: 4, test_accuracy: 90, validation_accuracy: 91 };
  assert.deepEqual(bestOf(job({ best })), { name: "validation_accuracy", value: 91, epoch: 4 });
  assert.deepEqual(bestOf(job({ best: { epoch: 4, test_accuracy: 90 } })), { name: "test_accuracy", value: 90, epoch: 4 });
  assert.equal(bestOf(job()), null);
  assert.equal(bestOf(job({ best, objective: null })), null);
});

test("an epoch updates progress, metrics and the time remaining", () => {
  const changed = job({ progress: { epoch: 2, epochs: 10, step: 7, steps: 20 } });
  assert.equal(apply(changed, event("epoch", epoch(2, { validation_accuracy: 50 }))), false);
  assert.deepEqual(changed.progress, { epoch: 2, epochs: 10, step: 20, steps: 20, eta_seconds: 24 });
  assert.deepEqual(changed.best, { epoch: 2, validation_accuracy: 50 });
});

test("a preempted job says for which job it makes room, and is fetched again", () => {
  const changed = job();
  assert.equal(apply(changed, event("preempted", { by: "1", reason: "makes room" })), true);
  assert.deepEqual([changed.status, changed.status_reason], ["running", "makes room"]);
});

test("the best epoch has the highest or the lowest value of the objective", () => {
  const images = job({ best: { epoch: 1, validation_accuracy: 50 } });
  apply(images, event("epoch", epoch(2, { validation_accuracy: 49 })));
  assert.equal(images.best?.epoch, 1);
  apply(images, event("epoch", epoch(3, { validation_accuracy: 51 })));
  assert.equal(images.best?.epoch, 3);
  const text = job({
    best: { epoch: 1, validation_perplexity: 80 },
    objective: { metric: "validation_perplexity", direction: "min" },
  });
  apply(text, event("epoch", epoch(2, { validation_perplexity: 81 })));
  assert.equal(text.best?.epoch, 1);
  apply(text, event("epoch", epoch(3, { validation_perplexity: 79 })));
  assert.equal(text.best?.epoch, 3);
});

test("without validation metrics the latest epoch is the best", () => {
  const changed = job({ best: { epoch: 1, train_loss: 1 } });
  apply(changed, event("epoch", epoch(2, { train_loss: 2 })));
  assert.equal(changed.best?.epoch, 2);
});

test("a change of status asks for the whole job", () => {
  const changed = job();
  assert.equal(apply(changed, event("status", { status: "paused", reason: "by request", attempt: 2 })), true);
  assert.deepEqual([changed.status, changed.status_reason, changed.attempt], ["paused", "by request", 2]);
  assert.equal(apply(changed, event("log", { message: "" })), false);
});
