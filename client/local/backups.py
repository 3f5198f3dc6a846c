"""Backups of what `dartboard up` keeps in its folder, whether it runs or not."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client.local.data_directory import DataDirectory, stored_secrets
from client.local.environments import inherited
from client.local.errors import BadSettingError, StackError
from client.local.postgres import Postgres, binaries, running_url
from client.local.process import Spawner


def backup(data: Path, to: Path) -> None:
    """Copy everything that is stored. Raises StackError."""
    if (url := running_url(data, stored_secrets(data))) is not None:
        _run("make", to, url, data)
        return
    if not (data / "postgres").is_dir():
        raise BadSettingError(f"There is no local database in {data}: name the folder of `dartboard up` with --data.")
    with _started(data) as url:
        _run("make", to, url, data)


def restore(data: Path, backup: Path) -> None:
    """Fill a new folder. Raises StackError where something is."""
    if not backup.is_file():
        raise BadSettingError(f"There is no backup {backup}.")
    if (data / "postgres").exists():
        raise BadSettingError(
            f"{data} has a database already: restore into a new folder with --data, or move that one away."
        )
    with _removed_on_failure(data), _started(data) as url:
        _run("restore", backup, url, data)


@contextmanager
def _removed_on_failure(data: Path) -> Iterator[None]:
    """Where the restore fails or is interrupted, remove the folder, or what was added to one that was there."""
    before = set(data.iterdir()) if data.is_dir() else None
    try:
        yield
    except BaseException:
        if before is None:
            shutil.rmtree(data, ignore_errors=True)
        else:
            for path in set(data.iterdir()) - before:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        raise


@contextmanager
def _started(data: Path) -> Iterator[str]:
    """The folder's database, for as long as it takes."""
    directory = DataDirectory(data)
    spawner = Spawner()
    try:
        postgres = Postgres(directory, spawner)
        try:
            postgres.start()
            yield postgres.url
        finally:
            postgres.stop()
    finally:
        spawner.close()
        directory.release()


def _run(verb: str, file: Path, database_url: str, data: Path) -> None:
    own = {
        "DATABASE_URL": database_url,
        "DARTBOARD_ARTIFACTS": str(data.absolute() / "artifacts"),
        "ARTIFACTS_URL": "",
        "DARTBOARD_PG_BIN": str(binaries()),
    }
    command = [sys.executable, "-m", "api.backup", verb, str(file.absolute())]
    if subprocess.run(command, env=inherited(own), check=False).returncode != 0:
        raise StackError("nothing was changed" if verb == "make" else f"nothing was restored, {data} is as it was")
