"""Reads the order of a list, `-test_accuracy`, and the cursors of its pages."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Job, JobMetric
from api.http.problems import invalid_query
from api.schemas.jobs import JobKind

CREATED_AT: Final = "created_at"
NAME: Final = "name"
COSTS: Final = ("parameters", "multiply_adds")
# Known also to a service in which no job has them yet.
METRICS: Final = tuple(
    f"{part}_{metric}" for part in ("validation", "test") for metric in ("accuracy", "loss", "perplexity")
)
_METRIC: Final = re.compile(r"-?(?:([a-z]+)\.)?([a-z][a-z0-9_]*)")


@dataclass(frozen=True)
class SortOrder:
    """By `key`, a metric unless it is `created_at` or `name`; jobs without it come last. kind: whose metric it is."""

    key: str = CREATED_AT
    descending: bool = True
    kind: JobKind | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """`name`, `-test_accuracy` or `search.validation_accuracy`; `-` is descending. Raises ProblemError 422."""
        match = _METRIC.fullmatch(text)
        if match is None:
            raise invalid_query("sort", f"{text!r} is no order: give a field, as in name or -test_accuracy")
        kind, key = match.groups()
        if kind is not None and kind not in JobKind.all():
            raise invalid_query("sort", f"{kind!r} is not a kind of job: {', '.join(JobKind.all())}")
        return cls(key, text.startswith("-"), None if kind is None else JobKind(kind))

    def cursor_at(self, job: Job) -> str:
        """The cursor of the page behind the job."""
        if self.key == CREATED_AT:
            return str(job.id)
        return str(Cursor(job.id, job.name if self.key == NAME else self._metric_of(job)))

    def _metric_of(self, job: Job) -> float | None:
        if self.kind not in (None, job.kind):
            return None
        value = {**(job.costs or {}), **(job.metrics or {}), **(job.best or {})}.get(self.key)
        return None if value is None else float(value)


NEWEST: Final = SortOrder()


async def check_metric(session: AsyncSession, order: SortOrder) -> None:
    """Raise ProblemError 422 for a metric that no job has and none is known to get."""
    if order.key in (CREATED_AT, NAME, *COSTS, *METRICS):
        return
    if await session.scalar(select(exists().where(JobMetric.metric == order.key))):
        return
    known = [CREATED_AT, NAME, *COSTS, *METRICS]
    raise invalid_query("sort", f"no job has {order.key!r}: sort by {', '.join(known)} or another metric of the jobs")


@dataclass(frozen=True)
class Cursor:
    """The last job of a page. value: by which the page is sorted; None behind the jobs that have one."""

    id: UUID
    value: float | str | None = None

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(json.dumps([str(self.id), self.value]).encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str, order: SortOrder) -> Self:
        """A `next_cursor`; an id alone in the order of creation. Raises ProblemError 422 for any other text."""
        try:
            if order.key == CREATED_AT:
                return cls(UUID(text))
            job_id, value = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
            expected = str if order.key == NAME else float | int
            if value is None or (isinstance(value, expected) and not isinstance(value, bool)):
                return cls(UUID(job_id), value)
        except (ValueError, TypeError, AttributeError, binascii.Error):
            pass
        raise invalid_query("cursor", "is not from a page of this order: leave it out for the first page")
