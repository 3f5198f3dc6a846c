"""Searches that end before their last epoch, by a `stop_when` of their spec: what a job's row keeps of that."""

from __future__ import annotations

from typing import Any

from api.db.models import Job


def stopped(epoch: int, reason: str) -> dict[str, Any]:
    """The `result` of a search that has stopped early."""
    return {"stopped_early": {"epoch": epoch, "reason": reason}}


def last_epoch(job: Job) -> int:
    """The epoch with which the job is done: where it stopped, else the spec's last."""
    return int(_of(job)["epoch"] if _of(job) else job.spec["epochs"])


def stop_reason(job: Job) -> str | None:
    """Why the job is done although its spec has more epochs; None when it has not."""
    early = _of(job)
    if not early:
        return None
    return f"stopped early after epoch {early['epoch']} of {job.spec['epochs']}: {early['reason']}"[:500]


def finished_progress(job: Job) -> dict[str, Any] | None:
    """The progress of a job that has done all its epochs."""
    if job.progress is None:
        return None
    epochs, steps = last_epoch(job), job.progress["steps"]
    return {"epoch": epochs, "epochs": epochs, "step": steps, "steps": steps, "eta_seconds": 0.0}


def _of(job: Job) -> dict[str, Any]:
    """What `stopped` wrote; empty for a job that did not."""
    found: dict[str, Any] = (job.result or {}).get("stopped_early") or {}
    return found
