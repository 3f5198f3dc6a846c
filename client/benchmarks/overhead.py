"""What the service adds to an epoch: the same search through it and alone, in alternating pairs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Literal

from client.local.gpus import visible_gpus
from client.local.stack import LocalStack
from client.sdk import Dartboard

Arrangement = Literal["side-by-side", "in-turn"]
_WARM_UP = 1  # epochs at the start of a run that count for nothing
_COVER = 1  # one more at the end: the run that is done first keeps the other company


def measure(
    spec: dict[str, Any],
    *,
    pairs: int,
    epochs: int,
    arrangement: Arrangement,
    data: Path | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Seconds an epoch, both ways, `pairs` times; each pair counts `epochs` epochs after the first.

    Side by side, both run at the same moment, each with one core to itself, and change cores from pair to pair: the
    service's core carries all of its processes, and what else happens to the machine happens to both. In turn, one
    runs after the other, who goes first changes, and each has the machine to itself.
    The service runs only while it is measured, so that its idle cost counts as its own.
    Raises subprocess.CalledProcessError when the lone run fails.
    """
    pair_of = _side_by_side if arrangement == "side-by-side" else _in_turn
    spec = {**spec, "epochs": _WARM_UP + epochs + _COVER}
    alone: list[float] = []
    served: list[float] = []
    with TemporaryDirectory() as temporary:
        for pair in range(pairs):
            lone, through = pair_of(spec, data or Path(temporary), pair)
            alone.append(_mean_epoch(lone))
            served.append(_mean_epoch(through))
            more = 100 * (served[-1] / alone[-1] - 1)
            say(f"pair {pair + 1}/{pairs}: alone {alone[-1]:.2f} s, served {served[-1]:.2f} s, {more:+.2f} %")
    percents = sorted(100 * (s / a - 1) for s, a in zip(served, alone, strict=True))
    return {
        "arrangement": arrangement,
        "pairs": pairs,
        "epochs_a_pair": epochs,
        "alone_seconds": round(median(alone), 3),
        "served_seconds": round(median(served), 3),
        "overhead_percent": round(median(percents), 2),
        "overhead_percent_of_pairs": [round(percent, 2) for percent in percents],
        "spec": spec,
    }


def can_run_side_by_side() -> bool:
    """Whether two runs would not want the same core or GPU."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1 and not visible_gpus(os.environ)


def _mean_epoch(ends: list[float]) -> float:
    counted = ends[_WARM_UP - 1 : len(ends) - _COVER]
    return (counted[-1] - counted[0]) / (len(counted) - 1)


def _side_by_side(spec: dict[str, Any], folder: Path, pair: int) -> tuple[list[float], list[float]]:
    everything = os.sched_getaffinity(0)
    cores = sorted(everything)[:2]
    mine, theirs = cores[pair % 2], cores[1 - pair % 2]
    # A process starts on the cores of the thread that started it.
    with ThreadPoolExecutor(1, initializer=lambda: os.sched_setaffinity(0, {theirs})) as beside:
        os.sched_setaffinity(0, {mine})
        try:
            with _service(folder) as dartboard:
                lone = beside.submit(_alone, spec)
                through = _served(dartboard, spec)
                return lone.result(), through
        finally:
            os.sched_setaffinity(0, everything)


def _in_turn(spec: dict[str, Any], folder: Path, pair: int) -> tuple[list[float], list[float]]:
    ends: dict[str, list[float]] = {}
    for side in ("alone", "served") if pair % 2 == 0 else ("served", "alone"):
        if side == "alone":
            ends[side] = _alone(spec)
        else:
            with _service(folder) as dartboard:
                ends[side] = _served(dartboard, spec)
    return ends["alone"], ends["served"]


def _alone(spec: dict[str, Any]) -> list[float]:
    command = [sys.executable, "-m", "client.cli", "run", "-", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"kind": "search", **spec}))
        process.stdin.close()
        ends = [time.monotonic() for _ in process.stdout]
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return ends


def _served(dartboard: Dartboard, spec: dict[str, Any]) -> list[float]:
    job = dartboard.submit("search", spec)
    return [time.monotonic() for event in dartboard.follow(job) if event.kind == "epoch"]


@contextmanager
def _service(folder: Path) -> Iterator[Dartboard]:
    with LocalStack(folder, port=0, workers=1) as stack, Dartboard(stack.url) as dartboard:
        yield dartboard
