"""From rows to what goes over the wire."""

from __future__ import annotations

from api.models import Checkpoint, Epoch, Event, Job
from api.schemas.jobs import CheckpointOut, EpochOut, JobKind, JobOut, LogLine


def job_out(job: Job) -> JobOut:
    """A job with its links."""
    base = f"/{JobKind(job.kind).collection}/{job.id}"
    links = {"self": base, "events": f"{base}/events", "epochs": f"{base}/epochs", "logs": f"{base}/logs"}
    if job.kind == JobKind.SEARCH:
        links |= {"genotype": f"{base}/genotype", "alphas": f"{base}/alphas"}
    else:
        links |= {"checkpoint": f"{base}/checkpoint", "checkpoints": f"{base}/checkpoints"}
    if job.source_id is not None:
        links["search"] = f"/searches/{job.source_id}"
    fields = {name: getattr(job, name) for name in JobOut.model_fields if name != "links"}
    return JobOut(**fields, links=links)


def epoch_out(epoch: Epoch) -> EpochOut:
    """One stored epoch."""
    return EpochOut(**{name: getattr(epoch, name) for name in EpochOut.model_fields})


def log_line(event: Event) -> LogLine:
    """One log event as a line."""
    return LogLine(sequence=event.sequence, **event.data)


def checkpoint_out(checkpoint: Checkpoint) -> CheckpointOut:
    """One stored checkpoint and where to get it."""
    fields = {name: getattr(checkpoint, name) for name in CheckpointOut.model_fields if name != "download"}
    return CheckpointOut(**fields, download=f"/checkpoints/{checkpoint.id}")
