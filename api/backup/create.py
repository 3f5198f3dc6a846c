"""Makes a backup while the service runs.

Files are written before the rows that name them. So the database comes first and the files
after it; and since a file may be deleted in between, all files get a second name before the database is read, and again
after it. What a row names and was made and deleted in that time, is missing: then all is done again.
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
    """Write the backup to `to`, whole or not at all. Raises BackupError and OSError.

    Files that are damaged or missing are named in the manifest's `damaged`, and left out.
    """
    if to.exists():
        raise BackupError(f"{to} is there already: choose another name, or remove it")
    aside = to.with_name(f"{to.name}.partial")
    with _staged(artifacts) as stage:
        manifest = _gathered(database_url, artifacts, stage)
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
def _staged(artifacts: Path) -> Iterator[Path]:
    """A folder on the store's own disk, which a second name of a file needs. One backup at a time has one."""
    with (artifacts / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError(f"another backup of {artifacts} is being made: wait for its end") from error
        for leftover in artifacts.glob(f"{_STAGE}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with TemporaryDirectory(prefix=_STAGE, dir=artifacts) as stage:
            yield Path(stage)


def _gathered(database_url: str, artifacts: Path, stage: Path) -> Manifest:
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
            if not missing or missing == before:  # twice the same: they have not just been made and deleted
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
            # There from the first time, or deleted a moment ago.
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
    """How a file differs from its row; None for an intact one."""
    try:
        with path.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if file.sha256 in (None, sha256):
        return None
    return f"has the checksum {sha256}, and {file.sha256} was stored"
