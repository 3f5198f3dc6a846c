"""Keeps a worker's counters in files of Prometheus' multiprocess mode, which outlive its processes."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import structlog
from prometheus_client import Counter, Gauge, Histogram, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from api.schemas.worker import DeviceLoad

_log = structlog.get_logger(__name__)
_EPOCH_BUCKETS: Final = (0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_FILE_BYTES: Final = 1 << 16
SEEN: Final = "dartboard_worker_seen_seconds"
DEVICE: Final = "dartboard_worker_device_"
WAITING: Final = "dartboard_worker_reports_waiting"


class Metrics:
    """The metrics that a process of a worker counts; `worker.metrics` adds the worker's name."""

    def __init__(self) -> None:
        self.steps = Counter("dartboard_worker_steps", "Training steps done.", registry=None)
        self.heartbeats_failed = Counter("dartboard_worker_heartbeats_failed", "Without an answer.", registry=None)
        self.thread_failures = Counter(
            "dartboard_worker_thread_failures",
            "Failures of a thread, each followed by another try.",
            ["thread"],
            registry=None,
        )
        self.epoch_seconds = Histogram(
            "dartboard_worker_epoch_seconds", "Epochs done.", ["kind"], buckets=_EPOCH_BUCKETS, registry=None
        )
        self.reports_waiting = _gauge(WAITING, "Reports of its job that the API has not taken yet.")
        self._seen = _gauge(SEEN, "When the main process read its devices, in seconds since 1970.")
        self._memory_used = _gauge(f"{DEVICE}memory_used_bytes", "Of each device, by all processes.", ["device"])
        self._memory_total = _gauge(f"{DEVICE}memory_total_bytes", "Of each device.", ["device"])
        self._utilisation = _gauge(f"{DEVICE}utilisation_ratio", "From 0 to 1, where the device tells.", ["device"])
        self._devices: set[str] = set()

    def show(self, loads: Sequence[DeviceLoad], now: float) -> None:
        """Set the load of each device, and NaN for a device that is not read any more. now: seconds since 1970."""
        read = {load.name: load for load in loads}
        self._devices |= read.keys()
        for device in self._devices:
            load = read.get(device)
            used, total = (load.memory_used, load.memory_total) if load else (math.nan, math.nan)
            ratio = load.utilisation / 100 if load and load.utilisation is not None else math.nan
            self._memory_used.labels(device).set(used)
            self._memory_total.labels(device).set(total)
            self._utilisation.labels(device).set(ratio)
        self._seen.set(now)


@lru_cache(maxsize=1)
def metrics() -> Metrics:
    """This process's metrics: in memory until `keep`."""
    return Metrics()


def merged(*files: Path) -> list[Metric]:
    """The metrics of these files. Raises an exception of any kind for a damaged one."""
    return list(MultiProcessCollector.merge([str(file) for file in files]))  # type: ignore[no-untyped-call]


def folder_of(state: Path) -> Path:
    """The folder of the files."""
    return state / "metrics"


def keep(state: Path, process: Literal["main", "job"]) -> None:
    """Keep this process's metrics in files from now on. Counters go on from the files; gauges begin anew.

    process: which of a worker's two processes this is; a job's process comes after the one of the job before.
    """
    folder = folder_of(state)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for kind in ("counter", "histogram", "gauge_max"):
            _prepare(folder / f"{kind}_{process}.db", anew=kind == "gauge_max")
    except OSError as error:  # a full disk
        _log.warning("metrics_not_kept", error=str(error))
        return
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]
    metrics.cache_clear()
    metrics()


def _prepare(path: Path, *, anew: bool) -> None:
    """Remove a file that a crash of the machine has damaged, and reserve the room of one.

    A write to a page that has no room on the disk would end the process by SIGBUS.
    """
    if anew or not _intact(path):
        path.unlink(missing_ok=True)
    with path.open("ab") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, _FILE_BYTES)


def _intact(path: Path) -> bool:
    try:
        merged(path)
    except Exception:
        return False
    return True


def _gauge(name: str, documentation: str, labels: Collection[str] = ()) -> Gauge:
    return Gauge(name, documentation, tuple(labels), registry=None, multiprocess_mode="max")
