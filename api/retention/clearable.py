"""Finds the checkpoints that rules clear. Preview and sweep run the same query.

Only whole epochs of ended trainings are found. A pinned job and the children of a pinned or active composite job keep
all; a child's time begins with its parent's end. A job that can be retried, by itself or by its parent, keeps its
newest and its best checkpoint under any rule. A checkpoint that was given to another job stays: in a directory both are
one file, and the other job may be repeated. So do versions of models, and what a schedule's request names.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.kinds import KINDS
from api.schemas.jobs import JobKind, Status
from api.schemas.retention import ClearableJob, ClearableOwner, RetentionOut, RetentionPreview

ENDED: Final = [str(status) for status in Status if status.ended]
_CLEARABLE: Final = text("""
with rules as (
    select * from jsonb_to_recordset(cast(:rules as jsonb)) as rule
        (own boolean, owner text, kind text, last int, best boolean, every int, days int)
), whole as (
    select checkpoints.id, job_id, jobs.kind, jobs.owner, jobs.name, epoch, key, sha256, size,
        checkpoints.pinned,
        dense_rank() over (partition by job_id, rule.own order by epoch desc) as place,
        greatest(rule.last, needed) as last,
        (rule.best or needed > 0) and epoch = (jobs.best ->> 'epoch')::int as is_kept_best,
        every
    from jobs left join jobs as parent on parent.id = jobs.parent_id
    cross join lateral (
        select (jobs.status <> 'succeeded' or coalesce(parent.status <> 'succeeded', false))::int as needed
    ) as retryable
    cross join lateral (
        select distinct on (own) own, last, best, every, days from rules
        where (rules.owner is null or rules.owner = jobs.owner) and (rules.kind is null or rules.kind = jobs.kind)
        order by own, rules.owner is null, rules.kind is null
    ) as rule
    join checkpoints on job_id = jobs.id and epoch > 0 and step is null
    where jobs.kind = any(:kinds) and jobs.status = any(:ended) and not jobs.pinned
        and (parent.id is null or parent.status = any(:ended) and not parent.pinned)
        and greatest(jobs.finished_at, parent.finished_at) <= now() - make_interval(hours => 24 * days)
        and (cast(:job as uuid) is null or jobs.id = :job)
)
select distinct job_id, kind, owner, name, epoch, id, key, size from whole
where place > last and is_kept_best is not true and (every is null or mod(epoch, every) > 0) and not pinned
    and not exists (select from checkpoints as given where given.epoch = 0 and given.sha256 = whole.sha256)
    and not exists (select from model_versions where checkpoint_id = whole.id)
    and not exists (
        select from schedules where (next_at is not null or paused)
            and replace(lower(request::text), '-', '') like any (
                array['%' || replace(job_id::text, '-', '') || '%', '%' || replace(whole.id::text, '-', '') || '%'])
    )
order by job_id, epoch, id
""")


@dataclass(frozen=True)
class Clearable:
    """A checkpoint to clear, and its job. size: in bytes."""

    job_id: UUID
    kind: JobKind
    owner: str | None
    name: str | None
    epoch: int
    id: UUID
    key: str
    size: int


async def clearable(
    session: AsyncSession, rules: Sequence[RetentionOut], job_id: UUID | None = None
) -> list[Clearable]:
    """The checkpoints that these rules clear now, of one job if given; by job and epoch."""
    given = {
        "rules": json.dumps([rule.model_dump(mode="json") for rule in rules]),
        "kinds": [str(name) for name, kind in KINDS.items() if kind.trains],
        "ended": ENDED,
        "job": job_id,
    }
    return [Clearable(**row._mapping) for row in await session.execute(_CLEARABLE, given)]


def summary(found: Iterable[Clearable], most: int) -> RetentionPreview:
    """Sums by owner and job. most: of the jobs that are listed."""
    by_owner: defaultdict[str | None, list[Clearable]] = defaultdict(list)
    by_job: defaultdict[UUID, list[Clearable]] = defaultdict(list)
    for each in found:
        by_owner[each.owner].append(each)
        by_job[each.job_id].append(each)
    owners = [
        ClearableOwner(owner=owner, jobs=len({each.job_id for each in own}), checkpoints=len(own), bytes=size_of(own))
        for owner, own in by_owner.items()
    ]
    jobs = [
        ClearableJob(
            id=job_id,
            kind=own[0].kind,
            owner=own[0].owner,
            name=own[0].name,
            epochs=[each.epoch for each in own],
            bytes=size_of(own),
        )
        for job_id, own in by_job.items()
    ]
    largest = attrgetter("bytes")
    return RetentionPreview(
        checkpoints=sum(each.checkpoints for each in owners),
        bytes=sum(each.bytes for each in owners),
        owners=sorted(owners, key=largest, reverse=True),
        jobs=sorted(jobs, key=largest, reverse=True)[:most],
    )


def size_of(checkpoints: Iterable[Clearable]) -> int:
    """Bytes in all."""
    return sum(each.size for each in checkpoints)
