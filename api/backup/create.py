"""Creates a backup while the service runs.

Files are written before the rows that name them, so the database is dumped before the files are read. A file may be
deleted in between: all files are hard-linked before the dump and again after it. A file created and deleted within that
time is missing, and the backup is retried.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import psycopg

from api.artifacts.store import INCOMING
from api.backup.errors import BackupError
from api.backup.manifest import DUMP, FILES, MANIFEST, BackedUp, Manifest, files_named
from api.backup.postgres import plain_url, run_tool
from darts_core.runtime.version import VERSION

_TRIES: Final = 5
_STAGE: Final = ".backup-"
_LOCK: Final = ".backup.lock"


def make_backup(database_url: str, artifacts: Path, to: Path) -> Manifest:
    """Write the backup to `to`, entirely or not at all. Raises BackupError and OSError.

    The manifest lists damaged and missing files in `damaged`; the backup omits them.
    """
    if to.exists():
        raise BackupError(f"{to} exists: choose another name, or remove it")
    aside = to.with_name(f"{to.name}.partial")
    with _stage_folder(artifacts) as stage:
        manifest = _collect(database_url, artifacts, stage)
        try:
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                _write(file, manifest, stage)
                file.flush()
                os.fsync(file.fileno())
            aside.rename(to)
        finally:
            aside.unlink(missing_ok=True)
    return manifest


@contextmanager
def _stage_folder(artifacts: Path) -> Iterator[Path]:
    """A folder on the store's file system, as hard links require. A lock admits one backup at a time."""
    with (artifacts / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError(f"another backup of {artifacts} is running: wait until it ends") from error
        for leftover in artifacts.glob(f"{_STAGE}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with TemporaryDirectory(prefix=_STAGE, dir=artifacts) as stage:
            yield Path(stage)


def _collect(database_url: str, artifacts: Path, stage: Path) -> Manifest:
    before: set[str] = set()
    with psycopg.connect(plain_url(database_url)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for _ in range(_TRIES):
            _link_all(artifacts, stage)
            with connection.transaction():
                [snapshot] = connection.execute("select pg_export_snapshot()").fetchone() or [""]
                [revision] = connection.execute("select version_num from alembic_version").fetchone() or [""]
                files = files_named(connection)
                dump = ["--format=custom", f"--snapshot={snapshot}", f"--file={stage / DUMP}"]
                run_tool(database_url, "pg_dump", dump)
            _link_all(artifacts, stage)
            missing = {file.key for file in files if not (stage / FILES / file.key).is_file()}
            if not missing or missing == before:  # missing twice in a row: not just created and deleted
                break
            before = missing
    if missing and len(missing) == len(files):
        raise BackupError(
            f"none of the {len(files)} files that the database names is in {artifacts}: is it the service's artifact "
            "store?"
        )
    checked = [file.model_copy(update={"problem": _problem(stage / FILES / file.key, file)}) for file in files]
    return Manifest(
        version=VERSION,
        revision=revision,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        files=[file for file in checked if file.problem is None],
        damaged=[file for file in checked if file.problem is not None],
    )


def _link_all(artifacts: Path, stage: Path) -> None:
    for folder, names, files in os.walk(artifacts):
        here = Path(folder).relative_to(artifacts)
        if here == Path():
            names[:] = [name for name in names if name != INCOMING and not name.startswith(_STAGE)]
        to = stage / FILES / here
        to.mkdir(parents=True, exist_ok=True)
        for name in files:
            # Linked in the first pass, or just deleted.
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                os.link(Path(folder) / name, to / name)


def _write(file: io.BufferedWriter, manifest: Manifest, stage: Path) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        text = manifest.model_dump_json(indent=1).encode()
        about = tarfile.TarInfo(MANIFEST)
        about.size = len(text)
        tar.addfile(about, io.BytesIO(text))
        tar.add(stage / DUMP, DUMP)
        for backed_up in manifest.files:
            tar.add(stage / FILES / backed_up.key, f"{FILES}{backed_up.key}")


def _problem(path: Path, file: BackedUp) -> str | None:
    """How a file differs from its row; None if it is intact."""
    try:
        with path.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if file.sha256 in (None, sha256):
        return None
    return f"has the checksum {sha256} instead of {file.sha256}"
