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
_FIRST_OF_EACH: Final = f"""
select job.id, job.kind, job.name, ranked.pool, ranked.gpus, ranked.priority, owner, project, owner_seconds,
    project_seconds, most
from ranked join wanted using (pool, gpus, priority) cross join lateral (
    select jobs.id, jobs.kind, jobs.name {_queued("ranked")} and {_SAME} order by jobs.id limit most
) as job order by job.id"""  # noqa: S608
_URGENT: Final = text(f"""
with recursive serving as (
    select unnest(pools) as pool, gpus from workers where last_seen > now() - cast(:presence as interval)
), wanted as (
    select pool, gpus, {URGENT} as priority, count(*) as most from serving group by pool, gpus
), {_RANKED} {_FIRST_OF_EACH}
""")  # noqa: S608
_QUEUE: Final = text(f"""
with recursive wanted as (
    select cast(:pool as text) as pool, cast(:gpus as integer) as gpus, priority, cast(:most as bigint) as most
    from generate_series(0, {URGENT}) as priorities (priority)
), {_RANKED} {_FIRST_OF_EACH}
""")  # noqa: S608
_RUNNING: Final = text("""
select jobs.id, kind, name, coalesce(owner, '') as owner, coalesce(project, '') as project, priority, progress
from attempts join jobs on jobs.id = job_id
where attempts.status = 'running' and pool = :pool and gpus = :gpus order by jobs.id limit :most
""")


@dataclass(frozen=True)
class Urgent:
    """A queued job that may take a running job's slot."""

    id: UUID
    pool: str
    gpus: int


@dataclass(frozen=True)
class Queue:
    """The first queued jobs of a slot in claim order, and those that its workers run."""

    queued: list[Any]
    running: list[Any]


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
    rows = in_turn((await session.execute(_URGENT, given)).all())
    return [Urgent(row.id, row.pool, row.gpus) for row in rows]


async def queue_of(session: AsyncSession, pool: str, gpus: int, most: int) -> Queue:
    """The queue of a slot: no more than `most` jobs that wait and that run."""
    given = {"pool": pool, "gpus": gpus, "most": most}
    waiting = await session.execute(_QUEUE, {**given, "half_life": half_life(session)})
    running = await session.execute(_RUNNING, given)
    return Queue(in_turn(waiting.all()), list(running.all()))


def in_turn(rows: Iterable[Any]) -> list[Any]:
    """The rows as one claim after another takes them: each adds to what its owner and project have had.

    rows: by age within an owner's project, with `id`, `pool`, `gpus`, `priority`, `owner`, `project`, what these have
    had (`owner_seconds`, `project_seconds`), and `most`, how many of its pool and GPUs are taken.
    """
    queues: dict[tuple[str, int, int, str, str], list[Any]] = defaultdict(list)
    owners, projects, left = {}, {}, {}
    for row in rows:
        queues[row.pool, row.gpus, row.priority, row.owner, row.project].append(row)
        owners[row.owner], projects[row.owner, row.project] = row.owner_seconds, row.project_seconds
        left[row.pool, row.gpus] = row.most
    jobs = []
    while queues:
        key = min(queues, key=lambda k: (-k[2], owners[k[3]], projects[k[3:]], queues[k][0].id))
        row = queues[key].pop(0)
        jobs.append(row)
        owners[row.owner] += row.gpus * FIRST_SECONDS
        projects[key[3:]] += row.gpus * FIRST_SECONDS
        left[key[:2]] -= 1
        queues = {k: rest for k, rest in queues.items() if rest and left[k[:2]]}
    return jobs
