import { shortId } from "./format.js";

export const ENDED = new Set(["succeeded", "failed", "cancelled"]);

// What each status allows, as the service's own table of transitions has it.
const ALLOWED = {
  cancel: new Set(["queued", "running", "pausing", "paused"]),
  pause: new Set(["queued", "running"]),
  resume: new Set(["paused"]),
  retry: new Set(["failed", "cancelled"]),
};

/** Whether it is made of other jobs, which its tree shows. */
export function isTree(job) {
  return "children" in job.links;
}

export function allowed(verb, job) {
  return ALLOWED[verb].has(job.status);
}

export function title(job) {
  return job.name ?? `${job.spec.dataset} ${job.kind} ${shortId(job.id)}`;
}

/** How far a job is, from 0 to 1. `progress.epoch` is the one in work, whose steps are all done once it has ended. */
export function share(job) {
  const at = job.progress;
  if (job.status === "succeeded") return 1;
  if (!at || !at.epochs || !at.epoch) return 0;
  return Math.min(1, (at.epoch - 1 + (at.steps ? at.step / at.steps : at.stage ? 0 : 1)) / at.epochs);
}

/** The name of the metric that makes an epoch the best one, and its value. */
export function bestOf(job) {
  const best = job.best ?? {};
  const name = ["validation_accuracy", "validation_perplexity", "test_accuracy", "test_perplexity"].find((n) => n in best);
  return name ? { name, value: best[name], epoch: best.epoch } : null;
}

/** Take an event of the job into it. Returns whether anything about it has to be asked for anew. */
export function apply(job, kind, data) {
  if (kind === "step") {
    job.progress = data;
  } else if (kind === "status") {
    job.status = data.status;
    job.status_reason = data.reason;
    job.attempt = data.attempt;
    return true;
  } else if (kind === "epoch") {
    const steps = job.progress?.steps ?? 0;
    const epochs = job.spec.epochs ?? 1;
    const left = (epochs - data.epoch) * data.seconds;
    job.progress = { epoch: data.epoch, epochs, step: steps, steps, eta_seconds: left };
    job.metrics = data.metrics;
    if (better(data.metrics, job.best)) job.best = { epoch: data.epoch, ...data.metrics };
  }
  return false;
}

/** The rule by which the service chooses the best epoch. */
function better(metrics, best) {
  if (!best) return true;
  if ("validation_accuracy" in metrics && "validation_accuracy" in best) {
    return metrics.validation_accuracy > best.validation_accuracy;
  }
  if ("validation_perplexity" in metrics && "validation_perplexity" in best) {
    return metrics.validation_perplexity < best.validation_perplexity;
  }
  return true;
}
