"""Orders the queue: by priority, then by what the owner and the project have had, then by age.

Among queued jobs of equal priority the owner with the fewest GPU-seconds comes first (api/usage/shares.py), of equal
ones the oldest job's; within an owner the project, likewise. Over time this is max-min fair. A statement reads one
queued job of each priority, owner and project, however many they have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Job
from api.schemas.jobs import URGENT
from api.usage.shares import FIRST_SECONDS, HAD, half_life

_OWNER: Final = "coalesce(jobs.owner, '')"
_PROJECT: Final = "coalesce(jobs.project, '')"
_SAME: Final = f"{_OWNER} = ranked.owner and {_PROJECT} = ranked.project"


def _queued(like: str) -> str:
    """The claimable jobs with the pool, GPUs and priority of a row of this table."""
    same = " and ".join(f"jobs.{name} = {like}.{name}" for name in ("pool", "gpus", "priority"))
    return f"from jobs where status = 'queued' and hold is null and {same}"


def _first(jobs: str) -> str:
    """The first of these jobs in the index."""
    return f"""lateral (
        select id, pool, gpus, priority, {_OWNER} as owner, {_PROJECT} as project {jobs}
        order by {_OWNER}, {_PROJECT}, id limit 1
    ) as first"""


# `waiting` has the oldest job of each pool, priority, owner and project, by steps from one to the next in the index.
_RANKED: Final = f"""
waiting as (
    select first.* from wanted cross join {_first(_queued("wanted"))}
    union all
    select first.* from waiting cross join {
    _first(f"{_queued('waiting')} and ({_OWNER}, {_PROJECT}) > (waiting.owner, waiting.project)")
}
), had as (
    {HAD}
), owners as (
    select owner, sum(seconds) as seconds from had group by owner
), projects as (
    select owner, project, sum(seconds) as seconds from had group by owner, project
), ranked as (
    select waiting.*, coalesce(owners.seconds, 0) as owner_seconds, coalesce(projects.seconds, 0) as project_seconds
    from waiting left join owners on owners.owner = waiting.owner
    left join projects on projects.owner = waiting.owner and projects.project = waiting.project
    order by waiting.priority desc, owner_seconds, project_seconds, waiting.id
)"""  # noqa: S608 - no values from outside
# Locks rows in this order until one is free: a locked one belongs to a claim in progress.
_NEXT: Final = text(f"""
with recursive wanted as (
    select pool, cast(:gpus as integer) as gpus, priority
    from unnest(cast(:pools as text[])) as pools (pool) cross join generate_series(0, {URGENT}) as priorities (priority)
), {_RANKED}
select taken.* from ranked cross join lateral (
    select jobs.* {_queued("ranked")} and {_SAME} order by jobs.id limit 1 for update skip locked
) as taken order by ranked.priority desc, owner_seconds, project_seconds, ranked.id limit 1
""")  # noqa: S608
_URGENT: Final = text(f"""
with recursive serving as (
    select unnest(pools) as pool, gpus from workers where last_seen > now() - cast(:presence as interval)
), wanted as (
    select pool, gpus, {URGENT} as priority, count(*) as workers from serving group by pool, gpus
), {_RANKED}
select job.id, ranked.pool, ranked.gpus, owner, project, owner_seconds, project_seconds, workers
from ranked join wanted using (pool, gpus) cross join lateral (
    select jobs.id {_queued("ranked")} and {_SAME} order by jobs.id limit workers
) as job order by job.id
""")  # noqa: S608


@dataclass(frozen=True)
class Urgent:
    """A queued job that may take a running job's slot."""

    id: UUID
    pool: str
    gpus: int


async def take_next(session: AsyncSession, pools: list[str], gpus: int) -> Job | None:
    """Lock the first queued job of these pools and this number of GPUs."""
    given = {"pools": pools, "gpus": gpus, "half_life": half_life(session)}
    found: Job | None = await session.scalar(select(Job).from_statement(_NEXT), given)
    return found


async def urgent_jobs(session: AsyncSession, presence: timedelta) -> list[Urgent]:
    """The queued urgent jobs that live workers serve, in claim order: of a pool no more than it has workers.

    presence: a worker is live until this long after its last report.
    """
    given = {"presence": presence, "half_life": half_life(session)}
    return in_turn((await session.execute(_URGENT, given)).all())


def in_turn(rows: Iterable[Any]) -> list[Urgent]:
    """The jobs as one claim after another takes them: each adds to what its owner and project have had.

    rows: by age within an owner's project, with `id`, `pool`, `gpus`, `owner`, `project`, what these have had
    (`owner_seconds`, `project_seconds`), and `workers` of the pool.
    """
    queues: dict[tuple[str, int, str, str], list[Any]] = defaultdict(list)
    owners, projects, left = {}, {}, {}
    for row in rows:
        queues[row.pool, row.gpus, row.owner, row.project].append(row)
        owners[row.owner], projects[row.owner, row.project] = row.owner_seconds, row.project_seconds
        left[row.pool, row.gpus] = row.workers
    jobs = []
    while queues:
        key = min(queues, key=lambda k: (owners[k[2]], projects[k[2:]], queues[k][0].id))
        row = queues[key].pop(0)
        if not queues[key]:
            del queues[key]
        if left[key[:2]]:
            left[key[:2]] -= 1
            owners[row.owner] += row.gpus * FIRST_SECONDS
            projects[key[2:]] += row.gpus * FIRST_SECONDS
            jobs.append(Urgent(row.id, row.pool, row.gpus))
    return jobs
