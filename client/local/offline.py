"""Runs the service's programs on a data folder of `dartboard up`, whether the service runs or not."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from client.local.data_directory import DataDirectory, stored_secrets
from client.local.environments import inherited
from client.local.postgres import Postgres, binaries, running_url
from darts_core.runtime.errors import BadSettingError
from darts_core.runtime.process import Spawner


@contextmanager
def database_of(data: Path) -> Iterator[str]:
    """The URL of the folder's database, started if necessary. Raises BadSettingError when there is none."""
    if (url := running_url(data, stored_secrets(data))) is not None:
        yield url
        return
    if not (data / "postgres").is_dir():
        raise BadSettingError(f"There is no local database in {data}: name the folder of `dartboard up` with --data.")
    with started_database(data) as url:
        yield url


@contextmanager
def started_database(data: Path) -> Iterator[str]:
    """Start the database, creating it if missing, and yield its URL."""
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


def run_module(module: str, arguments: Sequence[str], database_url: str, data: Path) -> int:
    """Run `python -m module` with the folder's database and artifacts; returns its exit code."""
    own = {
        "DATABASE_URL": database_url,
        "DARTBOARD_ARTIFACTS": str(data.absolute() / "artifacts"),
        "ARTIFACTS_URL": "",
        "DARTBOARD_PG_BIN": str(binaries()),
    }
    return subprocess.run([sys.executable, "-m", module, *arguments], env=inherited(own), check=False).returncode
