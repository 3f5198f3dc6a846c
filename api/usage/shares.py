"""Keeps the GPU-seconds that owners and projects have had, which order the queue.

They halve with each half-life, from the end of their attempt on; until then an attempt counts in full.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

FIRST_SECONDS: Final = 60.0
"""What a running attempt counts for at least, so that slots that come free together go to several owners."""

# Below 64 half-lives nothing is left, and Postgres refuses smaller powers as an underflow.
DECAYED: Final = """shares.gpu_seconds * power(0.5, least(64,
    greatest(0, extract(epoch from now() - shares.counted_at)) / extract(epoch from cast(:half_life as interval))))"""
_ADD: Final = text(f"""
insert into shares (owner, project, gpu_seconds, counted_at)
select coalesce(owner, ''), coalesce(project, ''), gpus * seconds, now() from usage where attempt_id = :attempt
on conflict (owner, project) do update set gpu_seconds = {DECAYED} + excluded.gpu_seconds, counted_at = now()
""")  # noqa: S608 - no values from outside


async def add_to_share(session: AsyncSession, attempt_id: UUID) -> None:
    """Add an ended attempt, whose usage is recorded, to its owner's share."""
    await session.execute(_ADD, {"attempt": attempt_id, "half_life": half_life(session)})


def half_life(session: AsyncSession) -> timedelta:
    """The service's setting."""
    found = session.info["share_half_life"]
    assert isinstance(found, timedelta)
    return found
