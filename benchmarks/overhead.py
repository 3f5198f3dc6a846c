"""Measures the service's overhead per epoch: the same search through it and alone, in alternating pairs."""

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

from benchmarks.cores import can_trade, traded_with
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.runtime.gpus import visible_gpus

Arrangement = Literal["side-by-side", "in-turn"]
_WARM_UP = 1  # warm-up epochs of a run, not counted
_COVER = 1  # one more at the end: the run that finishes first keeps the other's load realistic


def measure(
    spec: dict[str, Any],
    *,
    pairs: int,
    epochs: int,
    arrangement: Arrangement,
    data: Path | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Seconds per epoch, both ways, `pairs` times; each pair counts `epochs` epochs after the first.

    Side by side, both run at once, each on one core, and swap cores every few seconds: all of the service's processes
    share one core, and other load on the machine affects both runs. In turn, one runs after the other with the machine
    to itself. The service runs only while it is measured, so that its idle cost counts. Raises
    subprocess.CalledProcessError when the lone run fails.
    """
    spec = {**spec, "epochs": _WARM_UP + epochs + _COVER}
    alone: list[float] = []
    served: list[float] = []
    with TemporaryDirectory() as temporary:
        for pair in range(pairs):
            folder = data or Path(temporary)
            if arrangement == "side-by-side":
                lone, through = _side_by_side(spec, folder)
            else:
                # The order alternates: a machine that slows down or speeds up favours neither.
                lone, through = _in_turn(spec, folder, alone_first=pair % 2 == 0)
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
    """Whether the two runs need not share a core or GPU."""
    return can_trade() and not visible_gpus(os.environ)


def _mean_epoch(ends: list[float]) -> float:
    counted = ends[_WARM_UP - 1 : len(ends) - _COVER]
    return (counted[-1] - counted[0]) / (len(counted) - 1)


def _side_by_side(spec: dict[str, Any], folder: Path) -> tuple[list[float], list[float]]:
    with (
        _service(folder) as dartboard,
        ThreadPoolExecutor(1) as beside,
        _started_alone(spec) as process,
        traded_with(process.pid),
    ):
        lone = beside.submit(_ends_of, process)
        through = _served(dartboard, spec)
        return lone.result(), through


def _in_turn(spec: dict[str, Any], folder: Path, *, alone_first: bool) -> tuple[list[float], list[float]]:
    ends: dict[str, list[float]] = {}
    for side in ("alone", "served") if alone_first else ("served", "alone"):
        if side == "alone":
            with _started_alone(spec) as process:
                ends[side] = _ends_of(process)
        else:
            with _service(folder) as dartboard:
                ends[side] = _served(dartboard, spec)
    return ends["alone"], ends["served"]


def _started_alone(spec: dict[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "client.cli", "run", "-", "--json"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(json.dumps({"kind": "search", **spec}))
    process.stdin.close()
    return process


def _ends_of(process: subprocess.Popen[str]) -> list[float]:
    assert process.stdout is not None
    ends = [time.monotonic() for _ in process.stdout]
    if code := process.wait():
        raise subprocess.CalledProcessError(code, process.args)
    return ends


def _served(dartboard: Dartboard, spec: dict[str, Any]) -> list[float]:
    job = dartboard.submit("search", spec)
    return [time.monotonic() for event in dartboard.follow(job) if event.kind == "epoch"]


@contextmanager
def _service(folder: Path) -> Iterator[Dartboard]:
    with LocalStack(folder, port=0, workers=1) as stack, Dartboard(stack.url) as dartboard:
        yield dartboard
