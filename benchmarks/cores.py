"""Runs two processes side by side on two cores that they swap, so that neither has an advantage."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from itertools import cycle

import psutil

_TURN_SECONDS = 4.0


def can_trade() -> bool:
    """Whether this machine has two cores and can assign them."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


@contextlib.contextmanager
def traded_with(pid: int) -> Iterator[None]:
    """Give process `pid` one core, and this process with all its other children another.

    Children move with their parents. The cores are swapped every few seconds: on a shared machine one of them is
    slower, and which one changes. Linux only.
    """
    before = os.sched_getaffinity(0)
    over = threading.Event()
    thread = threading.Thread(target=_trade, args=(pid, sorted(before)[:2], over), name="core-trader", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _move(_tree(os.getpid()), before)


def _trade(pid: int, cores: list[int], over: threading.Event) -> None:
    for core, other in cycle([cores, cores[::-1]]):
        theirs = _tree(pid)
        # Listed anew each time: attempts and their threads come and go.
        _move(_tree(os.getpid()) - theirs, {core})
        _move(theirs, {other})
        if over.wait(_TURN_SECONDS):
            return


def _tree(pid: int) -> set[int]:
    try:
        root = psutil.Process(pid)
        return {pid, *(child.pid for child in root.children(recursive=True))}
    except psutil.NoSuchProcess:
        return set()


def _move(processes: Iterable[int], cores: set[int]) -> None:
    for pid in processes:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            for thread in psutil.Process(pid).threads():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, cores)
