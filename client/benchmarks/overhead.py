"""What the service adds to an epoch: the same search through it and alone, in alternating pairs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from client.local.stack import LocalStack
from client.sdk import Dartboard


def measure(spec: dict[str, Any], pairs: int, data: Path | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds from the end of the first epoch to the end of the second, both ways, `pairs` times.

    The first epoch warms up. The service runs only while it is measured, so that its idle cost counts as its own.
    Raises subprocess.CalledProcessError when the lone run fails.
    """
    spec = {**spec, "epochs": 2}
    alone: list[float] = []
    served: list[float] = []
    with TemporaryDirectory() as temporary:
        folder = data or Path(temporary)
        for pair in range(pairs):
            # Who goes first changes: a machine that slows down or speeds up favours neither.
            for side in ("alone", "served") if pair % 2 == 0 else ("served", "alone"):
                if side == "alone":
                    alone.append(_alone({"kind": "search", **spec}))
                else:
                    served.append(_served(spec, folder))
            say(f"pair {pair + 1}/{pairs}: alone {alone[-1]:.2f} s, through the service {served[-1]:.2f} s")
    ratios = sorted(s / a for s, a in zip(served, alone, strict=True))
    return {
        "pairs": pairs,
        "alone_seconds": round(median(alone), 3),
        "served_seconds": round(median(served), 3),
        "overhead_percent": round(100 * (median(ratios) - 1), 2),
        "overhead_percent_min": round(100 * (ratios[0] - 1), 2),
        "overhead_percent_max": round(100 * (ratios[-1] - 1), 2),
        "spec": spec,
    }


def _alone(spec: dict[str, Any]) -> float:
    command = [sys.executable, "-m", "client.cli", "run", "-", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(spec))
        process.stdin.close()
        ends = [time.monotonic() for _ in process.stdout]
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return ends[1] - ends[0]


def _served(spec: dict[str, Any], folder: Path) -> float:
    with LocalStack(folder, port=0, workers=1) as stack, Dartboard(stack.url) as dartboard:
        job = dartboard.submit("search", spec)
        ends = [time.monotonic() for event in dartboard.follow(job) if event.kind == "epoch"]
    return ends[1] - ends[0]
