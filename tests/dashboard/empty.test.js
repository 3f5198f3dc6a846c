import assert from "node:assert/strict";
import test from "node:test";
import { readiness } from "../../api/dashboard/static/jobs/empty.js";

/** @param {Partial<WorkerInfo>} fields @returns {WorkerInfo} */
function worker(fields) {
  const now = new Date().toISOString();
  const device = { device: "cpu", gpus: 1, load: [], version: "1", first_seen: now, last_seen: now };
  return { name: "a", pools: ["default"], alive: true, job_id: null, ...device, ...fields };
}

/** @param {...Partial<WorkerInfo>} fields */
const words = (...fields) => readiness(fields.map(worker)).words;

test("an idle worker of the default pool is ready", () => {
  const workers = [worker({ pools: ["gpu", "default"] }), worker({ name: "b", job_id: "1" })];
  assert.deepEqual(readiness(workers), { connected: true, ready: true, words: "a is ready." });
});

test("busy workers are connected and not ready", () => {
  const busy = readiness([worker({ job_id: "1" }), worker({ name: "b", job_id: "2" })]);
  assert.deepEqual(busy, { connected: true, ready: false, words: "a, b are busy: a job waits for its turn." });
});

test("without a worker for a first job the cause is named", () => {
  assert.equal(words(), "No worker has connected yet.");
  const ago = new Date(Date.now() - 180_000).toISOString();
  assert.equal(words({ alive: false, last_seen: ago }), "No worker is connected: the last heartbeat was 3 min ago.");
  assert.match(words({ pools: ["gpu"] }), /^a takes no jobs of 1 GPU in the pool default/);
  assert.match(words({ gpus: 2 }, { name: "b", gpus: 4 }), /^a, b take no jobs of 1 GPU/);
});
