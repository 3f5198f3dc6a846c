"""A job in full, for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from api.schemas.jobs import JobOut


def lines(job: JobOut) -> Iterator[str]:
    """Its status and times, then figures, result and spec, a field a line."""
    yield f"{job.kind} {job.id}" + (f" {job.name}" if job.name else "")
    yield f"  status: {job.status}" + (f" ({job.status_reason})" if job.status_reason else "")
    if job.error is not None:
        yield f"  error: {job.error.type}: {job.error.message}"
    if job.progress is not None:
        yield f"  epoch: {job.progress.epoch}/{job.progress.epochs}"
    for title, moment in (("created", job.created_at), ("started", job.started_at), ("ended", job.finished_at)):
        if moment is not None:
            yield f"  {title}: {_local(moment)}"
    for title, value in (("worker", job.worker), ("owner", job.owner), ("labels", _pairs(job.labels))):
        if value:
            yield f"  {title}: {value}"
    for title, found in (("metrics", job.metrics), ("best", job.best), ("spec", job.spec)):
        if found:
            yield f"  {title}:"
            for name, field in found.items():
                yield f"    {name}: {field if isinstance(field, str) else json.dumps(field, ensure_ascii=False)}"


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %z}"


def _pairs(labels: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())
