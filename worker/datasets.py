"""Fetches uploaded data sets to the data root, once for all workers of the machine."""

from __future__ import annotations

import fcntl
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darts_core.data.catalogue import upload_path
from darts_core.errors import Stopped
from worker.api_client import AttemptApi, DamagedError
from worker.control import AttemptControl
from worker.input_files import DOWNLOADS, Fetcher

_log = logging.getLogger("dartboard.worker")


def fetch(api: AttemptApi, checksum: str, data_root: Path, control: AttemptControl) -> None:
    """Put the packed set under the data root, whole and with this checksum, unless it is there.

    The next worker continues a broken download. Raises Stopped when the attempt is stopped, DamagedError,
    WorkerApiError and OSError.
    """
    place = upload_path(data_root, checksum)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _alone(place.with_suffix(".lock"), control):
        if place.exists():
            return
        _log.info("fetching the data set %s", checksum)
        partial = place.with_suffix(".part")
        _download(api, checksum, partial, control)
        partial.replace(place)


def _download(api: AttemptApi, checksum: str, partial: Path, control: AttemptControl) -> None:
    fetcher = Fetcher(api, control)
    for damaged in range(1, DOWNLOADS + 1):
        if control.stopping.is_set():
            raise Stopped
        fetcher.patiently(lambda: api.download_dataset(checksum, partial), f"the data set {checksum}")
        with partial.open("rb") as file:
            arrived = hashlib.file_digest(file, "sha256").hexdigest()
        if arrived == checksum:
            return
        partial.unlink()
        if damaged == DOWNLOADS:
            raise DamagedError(f"the data set {checksum} arrived {damaged} times with other content, lastly {arrived}")


@contextmanager
def _alone(lock: Path, control: AttemptControl) -> Iterator[None]:
    """Exclude the other workers of this machine. Raises Stopped when the attempt is stopped meanwhile."""
    with lock.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if control.stopping.wait(0.2):
                    raise Stopped from None
        yield
