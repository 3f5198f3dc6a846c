"""Compares every stored file with the row that names it: `python -m api.check_store`, with the service's settings.

The service may run meanwhile. Nothing is changed without an option.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Collection, Iterable
from typing import Final

import psycopg
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from api.artifacts import Artifacts, Stored, open_store
from api.artifacts.store import Found
from api.artifacts.verify import flaw
from api.backup.manifest import BackedUp, files_named
from api.backup.postgres import plain_url
from api.checkpoints.converter import SUFFIXES
from api.db.engine import Database
from api.http.problems import ProblemError
from api.program import run_program
from api.retention.orphans import clear_orphans
from api.settings import get_settings

_ADVICE: Final = """\
A job resumes from its newest intact checkpoint by itself. Uploading the same file again repairs an uploaded checkpoint
or data set. Restore anything else from a backup, or run the job again."""


class Damaged(BaseModel):
    """A stored file that differs from its row. of: its owner. problem: a verb phrase."""

    key: str
    of: str
    problem: str
    repaired: bool = False


class Unnamed(BaseModel):
    """An orphan: a file that no row names. Removed on request only, and only after a day."""

    key: str
    size: int
    removed: bool = False


class StoreReport(BaseModel):
    """The result of a check. files: the number of files that rows name. bytes: their total size according to
    the rows.
    """

    files: int
    bytes: int
    damaged: list[Damaged]
    unnamed: list[Unnamed]

    @property
    def intact(self) -> bool:
        """Whether all named files are intact or repaired."""
        return all(file.repaired for file in self.damaged)


async def check_store(
    database_url: str, store: Artifacts, *, repair: bool = False, remove_unnamed: bool = False
) -> StoreReport:
    """Read every file afresh. Raises ProblemError if the store is unavailable, psycopg.Error and SQLAlchemyError for
    the database.

    repair: replace a damaged file with an intact one of the same checksum.
    """
    files = await store.files()  # before the rows, since a file is written before its row
    named = _named(database_url)
    flaws = {file.key: why for file in named if (why := await _flaw(store, file))}
    if flaws:  # rows deleted meanwhile took their files along
        named = _named(database_url)
    damaged = [Damaged(key=f.key, of=f.of, problem=flaws[f.key]) for f in named if f.key in flaws]
    if repair:
        await _repair(store, named, damaged)
    unnamed = _unnamed(files, named)
    if remove_unnamed:
        cleared = await _clear_orphans(database_url, store)
        for file in unnamed:
            file.removed = file.key in cleared
    total = sum(file.size or 0 for file in named)
    return StoreReport(files=len(named), bytes=total, damaged=damaged, unnamed=unnamed)


async def _clear_orphans(database_url: str, store: Artifacts) -> Collection[str]:
    database = Database(database_url)
    try:
        return await clear_orphans(database, store)
    finally:
        await database.close()


def _named(database_url: str) -> list[BackedUp]:
    with psycopg.connect(plain_url(database_url)) as connection:
        return files_named(connection)


async def _flaw(store: Artifacts, file: BackedUp) -> str | None:
    if file.sha256 is None or file.size is None:
        return None if await store.size(file.key) is not None else "is missing"
    return await flaw(store, Stored(file.key, file.sha256, file.size), afresh=True)


async def _repair(store: Artifacts, named: Iterable[BackedUp], damaged: list[Damaged]) -> None:
    broken = {file.key for file in damaged}
    sound = {file.sha256: file.key for file in named if file.key not in broken and file.sha256}
    checksums = {file.key: file.sha256 for file in named if file.sha256}
    for file in damaged:
        if source := sound.get(checksums.get(file.key, "")):
            await store.link(source, file.key)
            file.repaired = True


def _unnamed(files: dict[str, Found], named: Iterable[BackedUp]) -> list[Unnamed]:
    """The orphans, except files derived from another file, which are deleted together with it."""
    spared = {file.key for file in named} | {f"{key}{suffix}" for key in files for suffix in SUFFIXES.values()}
    return [Unnamed(key=key, size=found.size) for key, found in sorted(files.items()) if key not in spared]


def _print(report: StoreReport) -> None:
    print(f"{report.files} files ({report.bytes:,} bytes)")
    for file in report.damaged:
        print(f"{'repaired' if file.repaired else 'damaged'}: {file.key} ({file.of}) {file.problem}")
    if not report.intact:
        print(_ADVICE)
    removed, kept = ([f for f in report.unnamed if f.removed is was] for was in (True, False))
    if removed:
        print(f"removed: {len(removed)} files ({sum(f.size for f in removed):,} bytes) that no row names")
    if kept:
        orphans = f"{len(kept)} files ({sum(f.size for f in kept):,} bytes) are named by no row"
        print(f"{orphans}; --remove-unnamed removes those that are older than a day")


def main() -> int:
    """Run the check. Exit codes: 0 all files are intact or repaired, 1 some are not, 3 the store or database is
    unavailable.
    """
    parser = argparse.ArgumentParser(prog="python -m api.check_store", description=__doc__)
    parser.add_argument(
        "--repair", action="store_true", help="replace damaged files with intact ones of the same content"
    )
    parser.add_argument("--remove-unnamed", action="store_true", help="remove files without a row, after a day")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    settings = get_settings()
    store = open_store(settings.artifacts_url, settings.artifacts, settings.max_upload_bytes)
    try:
        report = asyncio.run(
            check_store(
                settings.database_url.get_secret_value(),
                store,
                repair=arguments.repair,
                remove_unnamed=arguments.remove_unnamed,
            )
        )
    except (ProblemError, psycopg.Error, SQLAlchemyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    print(report.model_dump_json(indent=2)) if arguments.json else _print(report)
    return 0 if report.intact else 1


if __name__ == "__main__":
    run_program(main)
