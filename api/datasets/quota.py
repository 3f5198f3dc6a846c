"""Enforces an owner's quota of packed data set bytes, which may exceed the uploaded bytes."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth.principal import current
from api.db.models import Dataset
from api.http.problems import ProblemError


def quota_of_request() -> int | None:
    """The quota of the request's owner in bytes; None without keys or for a key without a limit."""
    principal = current()
    return None if principal is None or principal.owner is None else principal.limits.dataset_bytes


async def check_quota_left(session: AsyncSession) -> None:
    """Raise ProblemError 413 if the request's owner has used up the quota. Called before an upload's body is read."""
    principal, most = current(), quota_of_request()
    if principal is None or principal.owner is None or most is None:
        return
    if await _kept(session, principal.owner) >= most:
        raise ProblemError(413, _used_up(principal.owner, most))


async def over_quota(session: AsyncSession, dataset: Dataset, checksum: str, size: int) -> str | None:
    """Why a checked set of `size` packed bytes exceeds its owner's quota, with the remedy; None if it fits.

    Call before storing the set: an advisory lock serialises the checks of one owner.
    """
    most = dataset.request.get("dataset_bytes")
    if most is None or dataset.owner is None:
        return None
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"data sets of {dataset.owner}", 0))
    await session.execute(select(lock))
    if await _kept(session, dataset.owner, without=checksum) + size <= most:
        return None
    return f"the packed set has {size:,} bytes, and {_used_up(dataset.owner, most)}"


async def _kept(session: AsyncSession, owner: str, without: str | None = None) -> int:
    """Bytes of the owner's packed sets; a set shared by two names counts once."""
    packed = select(Dataset.checksum, Dataset.size).where(Dataset.owner == owner, Dataset.checksum.is_not(None))
    if without is not None:
        packed = packed.where(Dataset.checksum != without)
    distinct = packed.distinct().subquery()
    return int(await session.scalar(select(func.coalesce(func.sum(distinct.c.size), 0))) or 0)


def _used_up(owner: str, most: int) -> str:
    return (
        f"{owner} may keep {most:,} bytes of packed data sets in all: remove one that is no longer needed, scale the "
        "images down (size=...), or have an admin raise the key's dataset_bytes"
    )
