"""Registers the worker with the API every few seconds, so that jobs wake it."""

from __future__ import annotations

import shutil
import time
from typing import Final

import structlog

from api.schemas.worker import DeviceLoad, Presence
from darts_core.data.available_sets import held_sets
from darts_core.runtime.version import VERSION
from worker import dataset_copies
from worker.api_client import WorkerApi
from worker.device import device_name
from worker.device_load import DeviceLoads
from worker.prometheus import metrics
from worker.settings import WorkerSettings
from worker.threads import SupervisedThread

_log = structlog.get_logger(__name__)
# Between two looks at the data root.
_HELD_SECONDS: Final = 30.0


class PresenceThread(SupervisedThread):
    """Runs in the main process, independent of its child."""

    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__("presence")
        self._settings = settings

    def end(self) -> None:
        self._over.set()

    def work(self) -> None:
        settings = self._settings
        presence = Presence(
            name=settings.worker_name,
            pools=settings.pools,
            gpus=settings.gpus,
            device=device_name(),
            version=VERSION,
        )
        loads = DeviceLoads(settings.gpus)
        with WorkerApi(settings.url, settings.worker_key.get_secret_value()) as api:
            pause, looked = 0.0, -_HELD_SECONDS
            while not self._over.wait(pause):
                pause = settings.presence_seconds
                if time.monotonic() - looked >= _HELD_SECONDS:
                    looked = time.monotonic()
                    held = {"datasets": held_sets(settings.data_root), **_disk(settings)}
                    presence = presence.model_copy(update=held)
                load = _read(loads)
                metrics().show(load, time.time())
                try:
                    api.show(presence.model_copy(update={"load": load}))
                except Exception as error:  # a worker that is not registered is never woken
                    _log.warning("presence_not_shown", error=f"{type(error).__name__}: {error}")
                    pause = 1.0


def _disk(settings: WorkerSettings) -> dict[str, int]:
    """Clear copies of data sets; returns what the others take, and what is free. Empty if the disk does not tell."""
    root = settings.data_root
    try:
        dataset_copies.clear(root, days=settings.dataset_copy_days, most_bytes=settings.dataset_copy_bytes)
        taken = sum(copy.size for copy in dataset_copies.copies(root))
        return {"dataset_bytes": taken, "free_bytes": shutil.disk_usage(root).free}
    except OSError as error:  # the worker registers without it
        _log.warning("disk_unknown", error=f"{type(error).__name__}: {error}")
        return {}


def _read(loads: DeviceLoads) -> list[DeviceLoad]:
    try:
        return loads.read()
    except Exception as error:  # the worker registers without it
        _log.warning("device_load_unknown", error=f"{type(error).__name__}: {error}")
        return []
