"""Derives a job's current stage and progress from its events."""

from __future__ import annotations

from typing import Any

from api.schemas.jobs import JobOut
from client.clock import duration
from client.events import Event


def stage_of(event: Event) -> str | None:
    """The stage that an event starts, as in `preparing: kernels`; None when it starts none."""
    data = event.data
    match event.kind:
        case "status" if data["status"] == "running":
            return "preparing"
        case "status":
            return f"{data['status']} ({data['reason']})" if data["reason"] else str(data["status"])
        case "step":
            return str(data.get("stage") or f"epoch {data['epoch']}/{data['epochs']}")
        case "epoch":
            return f"epoch {data['epoch']} done"
    return None


def finished_epochs(job: JobOut) -> str:
    """Number of finished epochs, as in `2/50`; for a study or a committee, of finished children."""
    at = job.progress
    if at is None:
        return f"0/{job.spec['epochs']}" if "epochs" in job.spec else ""
    # `progress` names the current epoch; it has ended after its last step, unless evaluation follows.
    has_ended = at.step == at.steps and at.stage is None and job.metrics is not None
    return f"{at.epoch if has_ended or job.is_composite or job.status == 'succeeded' else at.epoch - 1}/{at.epochs}"


def steps_of(data: dict[str, Any]) -> str:
    """Progress of a `step` event, as in `step 12/40, 3m10s left`; without steps in a stage that has none."""
    steps = f"step {data['step']}/{data['steps']}" if data["steps"] and not data.get("stage") else ""
    left = data.get("eta_seconds")
    return ", ".join(filter(None, (steps, f"{duration(left)} left" if left else "")))
