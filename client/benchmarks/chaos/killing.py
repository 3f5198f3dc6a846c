"""SIGKILL to one part of the stack after the other, in an order that a seed decides."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from client.local.stack import LocalStack

# A worker is two processes: the main one, and the child that computes. Each can die alone.
KINDS: Final = ("worker", "worker_child", "api", "valkey", "postgres")


@dataclass(frozen=True)
class Kill:
    """After `pause` seconds, kill one of this kind. `choice` in [0, 1) says which one, where there are several."""

    pause: float
    kind: str
    choice: float


def sequence(seed: int, kinds: Sequence[str], *, shortest: float, longest: float) -> Iterator[Kill]:
    """The kills that the seed stands for, without end: each kind once in a round of all. Pauses in seconds."""
    draw = random.Random(seed)  # noqa: S311 - no secret is drawn
    while True:
        for kind in draw.sample(kinds, len(kinds)):
            yield Kill(draw.uniform(shortest, longest), kind, draw.random())


class Killer:
    """Kills for as long as it is open; the stack's own supervisor starts again what died."""

    def __init__(self, stack: LocalStack, kills: Iterator[Kill], say: Callable[[str], None]) -> None:
        self._stack, self._kills, self._say = stack, kills, say
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)
        self.killed: Counter[str] = Counter()
        # Drawn, but it was still down from the time before.
        self.found_dead: Counter[str] = Counter()

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        for kill in self._kills:
            if self._over.wait(kill.pause):
                return
            done = self._strike(kill)
            (self.killed if done else self.found_dead)[kill.kind] += 1
            self._say(f"{'killed' if done else 'still down:'} {kill.kind}")

    def _strike(self, kill: Kill) -> bool:
        """Whether there was something to kill."""
        if not kill.kind.startswith("worker"):
            process = self._stack.processes[kill.kind]
            was_running = process.running
            process.kill()
            return was_running
        names = sorted(name for name in self._stack.processes if name.startswith("worker-"))
        worker = self._stack.processes[names[int(kill.choice * len(names))]]
        if (pid := worker.pid) is None:
            return False
        if kill.kind == "worker":
            worker.kill()
            return True
        return _kill_child(pid)


def _kill_child(pid: int) -> bool:
    """Kill the process in which the worker's main process lets jobs run."""
    try:
        children = [c for c in psutil.Process(pid).children() if any("spawn_main" in part for part in c.cmdline())]
        for child in children:
            child.kill()
        return bool(children)
    except psutil.NoSuchProcess:
        return False
