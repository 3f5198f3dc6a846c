"""Records in a job's row that a search has stopped early by its spec's `stop_when`."""

from __future__ import annotations

from typing import Any

from api.db.models import Job


def stopped(epoch: int, reason: str) -> dict[str, Any]:
    """The `result` of a search that has stopped early."""
    return {"stopped_early": {"epoch": epoch, "reason": reason}}


def last_epoch(job: Job) -> int:
    """The epoch that completes the job: the one after which it stopped, else the spec's last."""
    return int(_stopped_early(job)["epoch"] if _stopped_early(job) else job.spec["epochs"])


def stop_reason(job: Job) -> str | None:
    """Why the job ended before its spec's last epoch; None if it did not."""
    early = _stopped_early(job)
    if not early:
        return None
    return f"stopped early after epoch {early['epoch']} of {job.spec['epochs']}: {early['reason']}"[:500]


def finished_progress(job: Job) -> dict[str, Any] | None:
    """The progress of a job that has completed all its epochs."""
    if job.progress is None:
        return None
    epochs, steps = last_epoch(job), job.progress["steps"]
    return {"epoch": epochs, "epochs": epochs, "step": steps, "steps": steps, "eta_seconds": 0.0}


def _stopped_early(job: Job) -> dict[str, Any]:
    """The value that `stopped` wrote; empty for other jobs."""
    found: dict[str, Any] = (job.result or {}).get("stopped_early") or {}
    return found
