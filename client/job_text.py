"""Formats a whole job for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from pydantic import BaseModel

from api.schemas.committees import CommitteeSpec
from api.schemas.jobs import JobOut
from api.schemas.studies import StudySpec
from client.clock import duration
from client.job_stage import finished_epochs
from darts_core.families import family_in

# Main fields, shown first; in the schema, fields of base classes come before them.
_MAIN: Final = ("family", "dataset", "preset", "seed", "epochs", "batch_size", "channels", "layers", "nodes")
_COMPOSITE: Final[dict[str, type[BaseModel]]] = {"study": StudySpec, "committee": CommitteeSpec}


def lines(job: JobOut) -> Iterator[str]:
    """Status and times, then metrics, result and spec, one line per field."""
    yield f"{job.kind} {job.id}" + (f" {job.name}" if job.name else "")
    yield f"  status: {job.status}" + (f" ({job.status_reason})" if job.status_reason else "")
    if job.error is not None:
        yield f"  error: {job.error.type}: {job.error.message}"
    if job.warning is not None:
        yield f"  warning: {job.warning}"
    if epochs := finished_epochs(job):
        yield f"  {'jobs' if job.is_composite else 'epochs'} finished: {epochs}"
    if job.status == "running" and job.progress is not None and job.progress.eta_seconds:
        yield f"  remaining: {duration(job.progress.eta_seconds)}"
    for title, moment in (("created", job.created_at), ("started", job.started_at), ("ended", job.finished_at)):
        if moment is not None:
            yield f"  {title}: {_local(moment)}"
    about = (("worker", job.worker), ("owner", job.owner), ("labels", _pairs(job.labels)))
    for title, value in (*about, ("pinned", "yes" if job.pinned else "")):
        if value:
            yield f"  {title}: {value}"
    if job.notes is not None:
        yield "  notes:"
        yield from (f"    {line}" for line in job.notes.splitlines())
    for title, figures in (("metrics", job.metrics), ("best", job.best)):
        if figures:
            yield f"  {title}:"
            yield from (f"    {name}: {_figure(figures[name])}" for name in sorted(figures, key=_epoch_first))
    yield "  spec:"
    for name in _in_order(job):
        field = job.spec[name]
        yield f"    {name}: {field if isinstance(field, str) else json.dumps(field, ensure_ascii=False)}"


def _figure(value: float) -> str:
    """Two decimals, or four significant digits below one: `47.37`, `0.025`, `3`."""
    if value.is_integer():
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.4g}"


def _epoch_first(name: str) -> tuple[bool, str]:
    return name != "epoch", name


def _in_order(job: JobOut) -> list[str]:
    """Names of the spec's fields: main ones first, the rest in schema order, then unknown ones.

    The database does not preserve order.
    """
    family = family_in(job.spec)
    specs = {"search": family.search, "evaluation": family.evaluation, **family.measured, **_COMPOSITE}
    schema = (*_MAIN, *(specs[job.kind].model_fields if job.kind in specs else ()))
    return list(dict.fromkeys([*(name for name in schema if name in job.spec), *sorted(job.spec)]))


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %z}"


def _pairs(labels: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())
