"""Compares every stored checkpoint of the jobs with its row."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from uuid import UUID

from benchmarks.chaos.faults import Target


def wrong_files(target: Target, job_ids: Collection[UUID]) -> list[str]:
    """Keys of files that are missing or differ from their digest, except those damaged by a fault."""
    import psycopg

    with psycopg.connect(target.database_url) as connection:
        rows = connection.execute("select key, sha256 from checkpoints where job_id = any(%s)", [list(job_ids)])
        return [key for key, sha256 in rows if key not in target.damaged and _digest(target, key) != sha256]


def _digest(target: Target, key: str) -> str | None:
    try:
        with (target.artifacts / key).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
