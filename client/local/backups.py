"""Backs up and restores the data folder of `dartboard up`, whether the service runs or not."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client.local.offline import database_of, run_module, started_database
from darts_core.runtime.errors import BadSettingError, StackError

# Exit code of `python -m api.backup make` when the backup lacks files that are damaged in the store.
_INCOMPLETE = 3


def backup(data: Path, to: Path) -> None:
    """Copy everything that is stored. Raises StackError, also when damaged files are missing from the backup."""
    with database_of(data) as url:
        code = run_module("api.backup", ["make", str(to.absolute())], url, data)
    if code == _INCOMPLETE:
        raise StackError(f"{to} is written, without the files named above: `dartboard check-store` says more of them")
    if code != 0:
        raise StackError("nothing was changed")


def restore(data: Path, backup: Path) -> None:
    """Restore into a new folder. Raises StackError when the folder holds data."""
    if not backup.is_file():
        raise BadSettingError(f"There is no backup {backup}.")
    if (data / "postgres").exists():
        raise BadSettingError(
            f"{data} has a database already: restore into a new folder with --data, or move that one away."
        )
    with _removed_on_failure(data), started_database(data) as url:
        if run_module("api.backup", ["restore", str(backup.absolute())], url, data) != 0:
            raise StackError(f"nothing was restored, {data} is as it was")


@contextmanager
def _removed_on_failure(data: Path) -> Iterator[None]:
    """If the restore fails or is interrupted, remove the folder, or everything added to an existing one."""
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
