"""Measures how long the first job of a new machine takes to its first step: nothing is compiled yet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from client.events import StatusEvent, StepEvent
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.kernels.compiler_process import has_compiler
from darts_core.kernels.library import SWITCH

MOST_SECONDS: Final = 30.0
"""To the first step, on two idle cores."""
_SPEC: Final = {"dataset": "digits", "epochs": 1}
# A stage is seen when a heartbeat tells of it.
_SOON: Final = {"DARTBOARD_HEARTBEAT_SECONDS": "0.1", "DARTBOARD_HEARTBEAT_PAUSE_SECONDS": "0.1"}


def measure(*, runs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds from claim to first step of a search on digits on the CPU, each time with a new service and cache.

    The job waits for the worker, which begins to compile when it starts. Returns seconds and stages of each run, with
    the machine's compiler (if it has one) and without, and the load average before each.
    """
    ways = {"with_compiler": {}, "without_compiler": {"CXX": "/nowhere/c++"}}
    if not has_compiler():
        del ways["with_compiler"]
    found: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "spec": _SPEC}
    for way, environment in ways.items():
        found[way] = []
        for run in range(runs):
            load = round(os.getloadavg()[0], 2)
            first = _first_step(environment)
            found[way].append({**first, "load": load})
            say(f"{way.replace('_', ' ')}, run {run + 1}/{runs}: {first['seconds']} s (load {load}); {first['stages']}")
    return found


def _first_step(environment: dict[str, str]) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        fresh = {"XDG_CACHE_HOME": folder, SWITCH: "", "CUDA_VISIBLE_DEVICES": "", **_SOON, **environment}
        service = LocalStack(Path(folder) / "data", port=0, workers=1, environment=fresh)
        with service as stack, Dartboard(stack.url) as dartboard:
            return _watched(dartboard)


def _watched(dartboard: Dartboard) -> dict[str, Any]:
    """Seconds of the job's stages, in order, and their sum."""
    job = dartboard.submit("search", _SPEC)
    claimed = began = 0.0
    stage = ""
    stages: dict[str, float] = {}
    for event in dartboard.follow(job):
        now = time.monotonic()
        if isinstance(event, StatusEvent) and event.status == "running":
            claimed, began, stage = now, now, "claimed"
        elif isinstance(event, StepEvent):
            stages[stage] = round(stages.get(stage, 0.0) + now - began, 2)
            if event.progress.steps and event.progress.step:
                return {"seconds": round(now - claimed, 2), "stages": stages}
            began, stage = now, event.progress.stage or "between stages"
    raise RuntimeError(f"job {job.id} ended without a step: {dartboard.job(job.id).error}")
