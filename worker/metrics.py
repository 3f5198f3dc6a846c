"""Serves `/metrics` of a host's workers: one port for all of them, each under its own name."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from darts_core.runtime.version import VERSION
from worker.attempt_dir import AttemptFolder
from worker.prometheus import DEVICE, SEEN, WAITING, folder_of, merged

_log = structlog.get_logger(__name__)
_FRESH_SECONDS: Final = 30.0


def serve_metrics(workers: Mapping[str, Path], host: str, port: int) -> None:
    """Answer on this port until the process ends. workers: state folders by name. Raises OSError."""
    registry = CollectorRegistry()
    registry.register(WorkersCollector(workers))
    start_http_server(port, host, registry)


class WorkersCollector(Collector):
    """Reads the metrics that the workers keep in their state folders."""

    def __init__(self, workers: Mapping[str, Path]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        """All metrics of all workers."""
        up = _gauge("up", "Whether the worker's main process has shown itself lately.")
        running = _gauge("job_running", "Whether it has a job.")
        families: dict[str, Metric] = {}
        for worker, state in self._workers.items():
            kept = {metric.name: metric for metric in _kept(state)}
            seen = max((sample.value for sample in kept.pop(SEEN).samples), default=0.0) if SEEN in kept else 0.0
            is_up = time.time() - seen < _FRESH_SECONDS
            # A job's process that was killed leaves its last values.
            is_busy = AttemptFolder(state).leftover() is not None
            up.add_metric([worker], is_up)
            running.add_metric([worker], is_busy)
            for name, metric in kept.items():
                if name.startswith(DEVICE) and not is_up:
                    continue
                family = families.setdefault(name, Metric(name, metric.documentation, metric.type))
                for sample in metric.samples:
                    value = 0.0 if name == WAITING and not is_busy else sample.value
                    if not math.isnan(value):
                        family.add_sample(sample.name, {"worker": worker, **sample.labels}, value)
        about = GaugeMetricFamily("dartboard_build_info", "Always 1.", labels=["version"])
        about.add_metric([VERSION], 1)
        yield from (up, running, *families.values(), about)


def _kept(state: Path) -> list[Metric]:
    try:
        return merged(*folder_of(state).glob("*.db"))
    except Exception as error:  # a damaged file: its worker replaces it when it starts
        _log.warning("metrics_unreadable", folder=str(folder_of(state)), error=f"{type(error).__name__}: {error}")
        return []


def _gauge(name: str, documentation: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"dartboard_worker_{name}", documentation, labels=["worker"])
