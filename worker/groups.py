"""Supervises one worker process for each group of GPUs."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from darts_core.runtime.cpu_threads import share_of
from darts_core.runtime.gpu_groups import GpuGroup
from darts_core.runtime.process import Command, Process, Spawner
from darts_core.runtime.supervision import keep_running
from worker.settings import WorkerSettings

DRAIN_SECONDS = 30.0
"""How long a stopping worker may take to save its job and give it back."""

_log = structlog.get_logger(__name__)
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Groups:
    """The processes of a machine with several groups, each with its own name, state folder and GPUs."""

    def __init__(
        self, settings: WorkerSettings, groups: Sequence[GpuGroup], command: Sequence[str] | None = None
    ) -> None:
        """command: the program to run in each group's environment; by default a worker, which finds one group there."""
        self._stopping = threading.Event()
        self._signals = 0
        # A signal handler may not touch an Event, whose lock the main thread may hold.
        self._woken, self._wake = socket.socketpair()
        self._spawner = Spawner()
        arguments = command or (sys.executable, "-m", "worker")
        share = share_of(os.environ, len(groups))
        self._processes = []
        self.states: dict[str, Path] = {}
        for number, group in enumerate(groups, 1):
            name, state = f"{settings.worker_name}-{number}", settings.worker_state / str(number)
            self.states[name] = state
            # This process serves the metrics of all.
            own = {"DARTBOARD_WORKER_NAME": name, "DARTBOARD_WORKER_STATE": str(state), "DARTBOARD_METRICS_PORT": "0"}
            environment = {**os.environ, **share, **group.environment, **own}
            told = Command(arguments, environment, Path.cwd())
            self._processes.append(Process(name, told, None, self._spawner, grace=DRAIN_SECONDS))
            _log.info("group", worker=name, gpus=group.size, devices=",".join(group.devices) or "cpu")

    def run(self) -> None:
        """Run until SIGTERM, SIGINT or SIGHUP, then wait until all have released their jobs; a second signal kills."""
        for number in _STOPS:
            signal.signal(number, self._on_signal)
        for process in self._processes:
            process.start()
        threads = [keep_running(process, self._stopping, _report) for process in self._processes]
        self._woken.recv(1)
        self._stopping.set()
        with ThreadPoolExecutor(max_workers=len(self._processes)) as together:
            list(together.map(Process.stop, self._processes))
        for thread in threads:
            thread.join()
        self._spawner.close()

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signals += 1
        self._wake.send(b"s")
        if self._signals > 1:
            for process in self._processes:
                process.grace = 0.0
                process.kill()


def _report(line: str) -> None:
    _log.warning("group_ended", what=line)
