"""Registers the worker with the API every few seconds, so that jobs wake it."""

from __future__ import annotations

import time
from typing import Final

import structlog

from api.schemas.worker import DeviceLoad, Presence
from darts_core.data.available_sets import held_sets
from darts_core.runtime.version import VERSION
from worker.api_client import WorkerApi
from worker.device import device_name
from worker.device_load import DeviceLoads
from worker.prometheus import metrics
from worker.settings import WorkerSettings
from worker.threads import SupervisedThread

_log = structlog.get_logger(__name__)
# Between two listings of the data root.
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
                    presence = presence.model_copy(update={"datasets": held_sets(settings.data_root)})
                load = _read(loads)
                metrics().show(load, time.time())
                try:
                    api.show(presence.model_copy(update={"load": load}))
                except Exception as error:  # a worker that is not registered is never woken
                    _log.warning("presence_not_shown", error=f"{type(error).__name__}: {error}")
                    pause = 1.0


def _read(loads: DeviceLoads) -> list[DeviceLoad]:
    try:
        return loads.read()
    except Exception as error:  # the worker registers without it
        _log.warning("device_load_unknown", error=f"{type(error).__name__}: {error}")
        return []
