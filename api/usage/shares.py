"""Keeps the GPU-seconds that owners and projects have had, which order the queue.

They halve with each half-life, from the end of their attempt on; until then an attempt counts in full.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.schemas.usage import ShareOut

FIRST_SECONDS: Final = 60.0
"""What a running attempt counts for at least, so that slots that come free together go to several owners."""

# Below 64 half-lives nothing is left, and Postgres refuses smaller powers as an underflow.
DECAYED: Final = """shares.gpu_seconds * power(0.5, least(64,
    greatest(0, extract(epoch from now() - shares.counted_at)) / extract(epoch from cast(:half_life as interval))))"""
# The seconds of each owner and project, in several rows. Run time as in api/jobs/run_time.py.
HAD: Final = f"""select owner, project, {DECAYED} as seconds from shares
    union all
    select coalesce(jobs.owner, ''), coalesce(jobs.project, ''), gpus * greatest({FIRST_SECONDS},
        seconds + extract(epoch from least(now(), lease_expires_at) - renewed_at))
    from attempts join jobs on jobs.id = job_id where attempts.status = 'running'"""  # noqa: S608
# Without owners who have less than a second left.
_SHARES: Final = text(f"""
with had as (
    {HAD}
), owners as (
    select owner, sum(seconds) as seconds from had group by owner having sum(seconds) >= 1
), held as (
    select coalesce(owner, '') as owner, count(*) as held from jobs where hold is not null group by coalesce(owner, '')
)
select nullif(owner, '') as owner, coalesce(seconds, 0)::float8 / 3600 as gpu_hours,
    coalesce(seconds / sum(seconds) over (), 0)::float8 as share, coalesce(held, 0) as held
from owners full join held using (owner) order by gpu_hours desc, owner
""")  # noqa: S608
_ADD: Final = text(f"""
insert into shares (owner, project, gpu_seconds, counted_at)
select coalesce(owner, ''), coalesce(project, ''), gpus * seconds, now() from usage where attempt_id = :attempt
on conflict (owner, project) do update set gpu_seconds = {DECAYED} + excluded.gpu_seconds, counted_at = now()
""")  # noqa: S608 - no values from outside


async def add_to_share(session: AsyncSession, attempt_id: UUID) -> None:
    """Add an ended attempt, whose usage is recorded, to its owner's share."""
    await session.execute(_ADD, {"attempt": attempt_id, "half_life": half_life(session)})


async def shares(session: AsyncSession) -> list[ShareOut]:
    """What each owner has had, the largest first, and the owner's held jobs."""
    found = await session.execute(_SHARES, {"half_life": half_life(session)})
    return [ShareOut(**row._mapping) for row in found]


def half_life(session: AsyncSession) -> timedelta:
    """The service's setting."""
    found = session.info["share_half_life"]
    assert isinstance(found, timedelta)
    return found
