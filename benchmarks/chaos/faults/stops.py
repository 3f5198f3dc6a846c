"""Suspends a process tree with SIGSTOP and continues it seconds later: a hang that ends."""

from __future__ import annotations

import random
import signal

import psutil

from benchmarks.chaos.faults.fault import Fault, Target

_SHORTEST, _LONGEST = 1.0, 7.0  # seconds; a lease lasts 4 s in the benchmark


class Stop(Fault):
    """Suspends a named process of the stack for 1 to 7 seconds; `stop_worker` is one of the workers."""

    def __init__(self, process: str) -> None:
        self.name = f"stop_{process}"
        self._process = process

    def strike(self, target: Target, draw: random.Random) -> bool:
        """False when it was down."""
        process = target.worker(draw) if self._process == "worker" else target.stack.processes[self._process]
        seconds = draw.uniform(_SHORTEST, _LONGEST)
        if (pid := process.pid) is None:
            return False
        try:
            root = psutil.Process(pid)
            stopped = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return False
        try:
            _signal(stopped, signal.SIGSTOP)
            target.over.wait(seconds)
        finally:
            _signal(stopped, signal.SIGCONT)
        return True


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
