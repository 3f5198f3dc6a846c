"""`/metrics` of a host's workers: one port for all of them, each under its own name."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from darts_core.runtime.version import VERSION
from worker.attempt_dir import AttemptFolder
from worker.prometheus import EPOCH_BUCKETS, Devices, Figures

_FRESH_SECONDS: Final = 30.0
_BOUNDS: Final = [*(str(float(bound)) for bound in EPOCH_BUCKETS), "+Inf"]


def serve_metrics(workers: Mapping[str, Path], host: str, port: int) -> None:
    """Answer on this port until the process ends. workers: state folders by name. Raises OSError."""
    registry = CollectorRegistry()
    registry.register(OfWorkers(workers))
    start_http_server(port, host, registry)


class OfWorkers(Collector):
    """Reads what the workers leave in their folders, when it is asked."""

    def __init__(self, workers: Mapping[str, Path]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        """All figures of all workers."""
        figures = {name: Figures.of(state) for name, state in self._workers.items()}
        devices = {name: Devices.of(state, time.time() - _FRESH_SECONDS) for name, state in self._workers.items()}
        # A child that was killed leaves the numbers that it had then.
        busy = {name: AttemptFolder(state).leftover() is not None for name, state in self._workers.items()}
        up = _gauge("up", "Whether the worker's main process has shown itself lately.")
        running = _gauge("job_running", "Whether it has a job.")
        waiting = _gauge("reports_waiting", "Reports of its job that the API has not taken yet.")
        steps = CounterMetricFamily("dartboard_worker_steps", "Training steps done.", labels=["worker"])
        failed = CounterMetricFamily("dartboard_worker_heartbeats_failed", "Without an answer.", labels=["worker"])
        epochs = HistogramMetricFamily("dartboard_worker_epoch_seconds", "Epochs done.", labels=["worker", "kind"])
        for name, found in figures.items():
            up.add_metric([name], devices[name] is not None)
            running.add_metric([name], busy[name])
            waiting.add_metric([name], found.waiting if busy[name] else 0)
            steps.add_metric([name], found.steps)
            failed.add_metric([name], found.heartbeats_failed)
            for kind, times in found.epochs.items():
                buckets = list(zip(_BOUNDS, accumulate(times.counts), strict=True))
                epochs.add_metric([name, kind], buckets, times.seconds)
        yield from (up, running, waiting, steps, failed, epochs)
        yield from _loads(devices)
        about = GaugeMetricFamily("dartboard_build_info", "Always 1.", labels=["version"])
        about.add_metric([VERSION], 1)
        yield about


def _loads(devices: Mapping[str, Devices | None]) -> Iterator[Metric]:
    used = _gauge("device_memory_used_bytes", "Of each of its devices, by all processes.", "device")
    total = _gauge("device_memory_total_bytes", "Of each of its devices.", "device")
    utilisation = _gauge("device_utilisation_ratio", "From 0 to 1, where the device says.", "device")
    for name, found in devices.items():
        for load in found.load if found is not None else ():
            used.add_metric([name, load.name], load.memory_used)
            total.add_metric([name, load.name], load.memory_total)
            if load.utilisation is not None:
                utilisation.add_metric([name, load.name], load.utilisation / 100)
    yield from (used, total, utilisation)


def _gauge(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"dartboard_worker_{name}", documentation, labels=["worker", *labels])
