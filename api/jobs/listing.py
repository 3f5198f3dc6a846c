"""Lists jobs in an order. The cost of a page depends on its length, not on the number of stored jobs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Exists,
    Select,
    Text,
    and_,
    column,
    exists,
    func,
    literal,
    nulls_first,
    nulls_last,
    select,
    true,
    tuple_,
    values,
)

from api.db.models import Job, JobLabel, JobMetric, JobText
from api.jobs.id_prefix import begins_with
from api.jobs.sort_order import NAME, Cursor, SortOrder
from api.schemas.jobs import JobKind, Status

MOST_COUNTED: Final = 10_000


@dataclass(frozen=True)
class Filters:
    """Criteria for a listing. `label`: `key=value` or `key`. `parent`: a composite job. `id_prefix`: how an id
    begins. `q`: words of a job's text. `roots`: omit the children of composite jobs.
    """

    kind: JobKind | None = None
    status: Status | None = None
    label: str | None = None
    parent: UUID | None = None
    id_prefix: str | None = None
    owner: str | None = None
    q: str | None = None
    roots: bool = False

    @property
    def scan(self) -> bool:
        """Whether no index on kind and status has all criteria."""
        more_than_label = self.label is not None and (self.owner is not None or self.roots)
        return self.parent is not None or self.id_prefix is not None or bool(self.q) or more_than_label

    @property
    def pairs(self) -> list[tuple[JobKind, Status]]:
        kinds = JobKind.all() if self.kind is None else [self.kind]
        return list(product(kinds, list(Status) if self.status is None else [self.status]))


def by_age(
    filters: Filters,
    *,
    limit: int,
    cursor: UUID | None = None,
    descending: bool = True,
    without: SortOrder | None = None,
) -> Select[Job]:
    """The query for a page in the order of creation. without: only jobs that do not have what this order goes by."""
    if (filters == Filters() and without is None) or filters.scan:
        query = select(Job).where(*_conditions(filters), *_missing(without, Job, Job.id))
        if cursor is not None:
            query = query.where(Job.id < cursor if descending else Job.id > cursor)
        order: ColumnElement[UUID] = Job.id.desc() if descending else Job.id.asc()
        if filters.parent is not None or filters.id_prefix is not None:
            # These are few: in the primary key's order the planner would look for them row by row.
            order = nulls_last(order) if descending else nulls_first(order)
        return query.order_by(order).limit(limit)
    # Indexes group jobs by kind and status: the query merges the first jobs of each pair.
    row, job_id, chosen = _grouped(filters)
    if cursor is not None:
        chosen.append(job_id < cursor if descending else job_id > cursor)
    pairs = _pairs_of(filters)
    of_pair = select(job_id.label("id")).where(row.kind == pairs.c.kind, row.status == pairs.c.status, *chosen)
    first = of_pair.where(*_missing(without, row, job_id))
    first = first.order_by(nulls_last(job_id.desc()) if descending else nulls_first(job_id.asc()))
    each = first.limit(limit).lateral()
    merged = select(each.c.id).select_from(pairs.join(each, true()))
    found = merged.order_by(each.c.id.desc() if descending else each.c.id).limit(limit).subquery()
    return select(Job).join(found, found.c.id == Job.id).order_by(Job.id.desc() if descending else Job.id)


def by_value(filters: Filters, order: SortOrder, *, limit: int, cursor: Cursor | None = None) -> Select[Job]:
    """The query for a page of the jobs that have what the order goes by."""
    if order.kind is not None:
        if filters.kind not in (None, order.kind):
            return select(Job).where(literal(False))
        filters = replace(filters, kind=order.kind)
    row: type[JobMetric | JobText] = JobText if order.key == NAME else JobMetric
    value: ColumnElement[Any] = JobText.name if order.key == NAME else JobMetric.value  # type: ignore[assignment]
    has: list[ColumnElement[bool]] = []
    has.append(JobText.name.is_not(None) if order.key == NAME else JobMetric.metric == order.key)
    place = tuple_(value, row.job_id)
    if cursor is not None:
        last = tuple_(literal(cursor.value, value.type), literal(cursor.id))
        has.append(place < last if order.descending else place > last)
    ordered = [each.desc() if order.descending else each.asc() for each in (value, row.job_id)]
    if order.key == NAME or filters.scan or filters.label is not None or filters.owner is not None:
        found = select(Job).join(row, row.job_id == Job.id).where(*has, *_conditions(filters))
        return found.order_by(*ordered).limit(limit)
    pairs = _pairs_of(filters)
    of_pair = select(value.label("value"), row.job_id.label("id")).where(
        JobMetric.kind == pairs.c.kind, JobMetric.status == pairs.c.status, *has
    )
    if filters.roots:
        of_pair = of_pair.where(exists().where(Job.id == row.job_id, Job.parent_id.is_(None)))
    each = of_pair.order_by(*ordered).limit(limit).lateral()
    merged = select(each.c.value, each.c.id).select_from(pairs.join(each, true())).subquery()
    places = [merged.c.value, merged.c.id]
    found = select(Job).join(merged, merged.c.id == Job.id)
    return found.order_by(*(each.desc() if order.descending else each for each in places)).limit(limit)


def counts(filters: Filters) -> Select[str, int]:
    """The query for the numbers of jobs by status, of whichever one `filters` has.

    They are counted to one more than `MOST_COUNTED`: of each status, or in a `scan` of all.
    """
    most, filters = MOST_COUNTED + 1, replace(filters, status=None)
    if filters.scan:
        found = select(Job.status).where(*_conditions(filters)).limit(most).subquery()
        return select(found.c.status, func.count()).group_by(found.c.status)
    row, _, chosen = _grouped(filters)
    pairs = _pairs_of(filters)
    of_pair = select(literal(1).label("one")).where(row.kind == pairs.c.kind, row.status == pairs.c.status, *chosen)
    each = of_pair.limit(most).lateral()
    return select(pairs.c.status, func.count()).select_from(pairs.join(each, true())).group_by(pairs.c.status)


def _grouped(filters: Filters) -> tuple[type[Job | JobLabel], ColumnElement[UUID], list[ColumnElement[bool]]]:
    """The table that an index groups by kind and status, its jobs' ids, and the other filters on it."""
    if filters.label is not None:
        key, equals, value = filters.label.partition("=")
        chosen = [JobLabel.key == key, *([JobLabel.value == value] if equals else [])]
        return JobLabel, JobLabel.job_id, chosen  # type: ignore[return-value]
    chosen = [] if filters.owner is None else [Job.owner == filters.owner]
    return Job, Job.id, [*chosen, *([Job.parent_id.is_(None)] if filters.roots else [])]  # type: ignore[return-value]


def _missing(without: SortOrder | None, row: Any, job_id: Any) -> Iterable[ColumnElement[bool]]:
    if without is None:
        return
    if without.key == NAME:
        has = _has(JobText, job_id, JobText.name.is_not(None))
    else:
        has = _has(JobMetric, job_id, JobMetric.metric == without.key)
    yield ~has if without.kind is None else ~and_(row.kind == without.kind, has)


def _pairs_of(filters: Filters) -> Any:
    rows = [(str(kind), status.value) for kind, status in filters.pairs]
    return values(column("kind", Text), column("status", Text), name="pairs").data(rows)


def _conditions(filters: Filters) -> Iterable[ColumnElement[bool]]:
    if filters.parent is not None:
        yield Job.parent_id == filters.parent
    if filters.roots:
        yield Job.parent_id.is_(None)
    if filters.id_prefix is not None:
        yield begins_with(Job.id, filters.id_prefix)
    if filters.kind is not None:
        yield Job.kind == filters.kind
    if filters.status is not None:
        yield Job.status == filters.status
    if filters.owner is not None:
        yield Job.owner == filters.owner
    if filters.label is not None:
        key, equals, value = filters.label.partition("=")
        yield _has(JobLabel, Job.id, JobLabel.key == key, *([JobLabel.value == value] if equals else []))
    if words := (filters.q or "").lower().split():
        yield _has(JobText, Job.id, *(JobText.text.contains(word, autoescape=True) for word in words))


def _has(row: type[JobLabel | JobMetric | JobText], job_id: Any, *conditions: ColumnElement[bool]) -> Exists:
    """Whether the table has such a row of the job. The query around it may join the same table."""
    return exists().where(row.job_id == job_id, *conditions).correlate_except(row)
