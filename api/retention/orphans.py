"""Deletes files that no row names, such as those of a process that died between a file and its row."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlalchemy import select, text

from api.artifacts import Artifacts
from api.checkpoints.converter import SUFFIXES
from api.db.engine import Database, lock_content
from api.db.models import Attempt, Checkpoint
from api.jobs.index_conditions import RUNNING
from api.jobs.locking import lock_job

# A request that has stored a file stores its row soon.
ABANDONED_SECONDS: Final = 24 * 3600.0
_NAMED_BY_NO_JOB: Final = text("""
select 'uploads/' || sha256 || '.pt' from uploads
union all select 'datasets/' || checksum || '.safetensors' from datasets where checksum is not null
union all select request ->> 'upload' from datasets where state = 'checking' and request ->> 'upload' is not null
""")


async def clear_orphans(
    database: Database, artifacts: Artifacts, older_than: float = ABANDONED_SECONDS
) -> dict[str, int]:
    """Delete the orphans that are older than so many seconds; returns their sizes in bytes by key.

    Files of a job with a running attempt stay: it may yet report what it has uploaded. So do files of unknown folders.
    Raises ProblemError if the store is unavailable.
    """
    files = await artifacts.files()  # before the rows, since a file is written before its row
    before = time.time() - older_than
    async with database.single_statements() as session:
        named = {*await session.scalars(select(Checkpoint.key)), *await session.scalars(_NAMED_BY_NO_JOB)}
    found: dict[str, list[str]] = {}
    for key, file in files.items():
        content = _content_of(key)
        if content is not None and file.changed < before and not _is_named(key, named):
            found.setdefault(content, []).append(key)
    cleared: dict[str, int] = {}
    for content, keys in found.items():
        cleared |= {key: files[key].size for key in await _delete(database, artifacts, content, keys)}
    return cleared


async def _delete(database: Database, artifacts: Artifacts, content: str, keys: Collection[str]) -> list[str]:
    """Delete those of the files that still have no row; returns their keys. The locks keep others from storing one."""
    async with database.transaction() as session:
        await lock_content(session, content)
        job_id = _job_of(next(iter(keys)))
        if job_id is None:
            named = set(await session.scalars(_NAMED_BY_NO_JOB))
        else:
            await lock_job(session, job_id)
            if await session.scalar(select(Attempt.id).where(Attempt.job_id == job_id, RUNNING)) is not None:
                return []
            named = set(await session.scalars(select(Checkpoint.key).where(Checkpoint.job_id == job_id)))
        orphans = [key for key in keys if not _is_named(key, named)]
        await artifacts.delete(orphans)
    return orphans


def _content_of(key: str) -> str | None:
    """The text by which writers of the file and its row lock it (`lock_content`); None for an unknown folder."""
    folder, _, rest = key.partition("/")
    if folder in ("uploads", "datasets"):
        return rest.rpartition("/")[2].partition(".")[0]
    return folder if _job_of(key) is not None else None


def _job_of(key: str) -> UUID | None:
    """The job in whose folder the file is; None for a user's file."""
    try:
        return UUID(key.partition("/")[0])
    except ValueError:
        return None


def _is_named(key: str, named: Collection[str]) -> bool:
    """Whether a row names the file, or that from which it is derived and with which it is deleted."""
    return key in named or any(key.removesuffix(suffix) in named for suffix in SUFFIXES.values())
