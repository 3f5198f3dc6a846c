"""Kills single processes with SIGKILL. The stack's supervisor restarts them."""

from __future__ import annotations

import random

import psutil

from benchmarks.chaos.faults.fault import Fault, Target


class Kill(Fault):
    """Kills a named process of the stack; `worker` is a worker's main process."""

    def __init__(self, name: str) -> None:
        self.name = name

    def strike(self, target: Target, draw: random.Random) -> bool:
        """False when it was down already."""
        process = target.worker(draw) if self.name == "worker" else target.stack.processes[self.name]
        was_running = process.running
        process.kill()
        return was_running


class KillWorkerChild(Fault):
    """Kills the child in which a worker runs jobs; main process and child can each die alone."""

    name = "worker_child"

    def strike(self, target: Target, draw: random.Random) -> bool:
        """False when the worker has no child."""
        pid = target.worker(draw).pid
        killed = computing(pid) if pid is not None else []
        for child in killed:
            child.kill()
        return bool(killed)


def computing(pid: int) -> list[psutil.Process]:
    """The children of a worker's main process that run jobs."""
    try:
        return [c for c in psutil.Process(pid).children() if any("spawn_main" in part for part in c.cmdline())]
    except psutil.NoSuchProcess:
        return []
