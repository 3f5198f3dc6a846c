"""Lists jobs, newest first. The cost of a page depends on its length only, not on the number of stored jobs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, column, nulls_last, select, true, values

from api.db.models import Job, JobLabel
from api.jobs.id_prefix import begins_with
from api.schemas.jobs import JobKind, Status


@dataclass(frozen=True)
class Filters:
    """Criteria for a listing. `label` is `key=value` or `key`; `parent` a composite job; `id_prefix` the start of an
    id.
    """

    kind: JobKind | None = None
    status: Status | None = None
    label: str | None = None
    parent: UUID | None = None
    id_prefix: str | None = None


def newest(filters: Filters, *, limit: int, cursor: UUID | None = None) -> Select[Job]:
    """The query for one page before the cursor."""
    if filters == Filters():
        query = select(Job).order_by(Job.id.desc()).limit(limit)
        return query if cursor is None else query.where(Job.id < cursor)
    # One composite job's children, or a range of ids, are few enough to be scanned.
    if filters.parent is not None or filters.id_prefix is not None:
        return _scan(filters, limit, cursor)
    kinds = JobKind.all() if filters.kind is None else [filters.kind]
    statuses = list(Status) if filters.status is None else [filters.status]
    found = newest_ids(kinds, statuses, label=filters.label, limit=limit, cursor=cursor).subquery()
    return select(Job).join(found, found.c.id == Job.id).order_by(Job.id.desc())


def _scan(filters: Filters, limit: int, cursor: UUID | None) -> Select[Job]:
    wanted: list[ColumnElement[bool]] = []
    if filters.parent is not None:
        wanted.append(Job.parent_id == filters.parent)
    if filters.id_prefix is not None:
        wanted.append(begins_with(Job.id, filters.id_prefix))
    if cursor is not None:
        wanted.append(Job.id < cursor)
    if filters.kind is not None:
        wanted.append(Job.kind == filters.kind)
    if filters.status is not None:
        wanted.append(Job.status == filters.status)
    if filters.label is not None:
        key, equals, value = filters.label.partition("=")
        wanted.append(Job.labels.contains({key: value}) if equals else Job.labels.has_key(key))
    return select(Job).where(*wanted).order_by(nulls_last(Job.id.desc())).limit(limit)


def newest_ids(
    kinds: Iterable[JobKind],
    statuses: Iterable[Status],
    *,
    label: str | None = None,
    limit: int,
    cursor: UUID | None = None,
) -> Select[UUID]:
    """Ids of the newest jobs with any of these kinds and statuses.

    The index groups jobs by kind and status: the query merges the newest jobs of each pair.
    """
    row: type[Job | JobLabel] = Job
    job_id: ColumnElement[UUID] = Job.id  # type: ignore[assignment]
    chosen: list[ColumnElement[bool]] = []
    if label is not None:
        key, equals, value = label.partition("=")
        row, job_id = JobLabel, JobLabel.job_id  # type: ignore[assignment]
        chosen = [JobLabel.key == key, *([JobLabel.value == value] if equals else [])]
    if cursor is not None:
        chosen.append(job_id < cursor)
    pairs: Any = values(column("kind", Text), column("status", Text), name="pairs").data(
        [(str(kind), status.value) for kind, status in product(kinds, statuses)]
    )
    of_pair = select(job_id.label("id")).where(row.kind == pairs.c.kind, row.status == pairs.c.status, *chosen)
    each = of_pair.order_by(nulls_last(job_id.desc())).limit(limit).lateral()
    return select(each.c.id).select_from(pairs.join(each, true())).order_by(each.c.id.desc()).limit(limit)
