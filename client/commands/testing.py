"""`dartboard test`: the project's tests in lanes: unit, kernels by processor level, end to end, chaos, containers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import typer

_ROOT = Path(__file__).resolve().parents[2]
# Each process holds torch in memory, each stack a database, a broker and a browser as well.
_MOST_PROCESSES = 16
_MOST_STACKS = 6
_NO_TESTS: Final = 5  # pytest's exit code
_GATES: Final = ("test_fused.py", "test_recurrent_fast.py", "test_kernels.py")


@dataclass(frozen=True)
class Lane:
    """One run of pytest."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def test(context: typer.Context) -> None:
    """Run the tests; what follows is handed to pytest in their stead (`dartboard test tests/api -k lease`)."""
    require("pytest")
    if context.args:
        raise typer.Exit(_pytest(Lane("", tuple(context.args))))
    raise typer.Exit(run_lanes(list(lanes())))


def require(*modules: str) -> None:
    """Raises BadParameter where one of these developers' tools is not installed."""
    if missing := [module for module in modules if find_spec(module) is None]:
        raise typer.BadParameter(
            f"{', '.join(missing)} not installed here: call ./dartboard test or check, which add the tools they need"
        )


def run_lanes(lanes: list[Lane]) -> int:
    """Run all, whether or not one before has failed, then print a line for each. 1 where one has failed."""
    results = []
    for lane in lanes:
        began = time.monotonic()
        print(f"== {lane.name}", flush=True)
        results.append((lane.name, _pytest(lane), time.monotonic() - began))
    failed = [code not in (0, _NO_TESTS) for _, code, _ in results]
    for (name, _, seconds), has_failed in zip(results, failed, strict=True):
        print(f"{'FAILED' if has_failed else 'passed'}  {name}: {seconds:.0f} s")
    print(f"{failed.count(False)} passed, {failed.count(True)} failed", flush=True)  # lanes
    return int(any(failed))


def lanes() -> Iterator[Lane]:
    """All lanes of this machine."""
    cores = max(2, len(os.sched_getaffinity(0)))
    unit, stacks = str(min(cores, _MOST_PROCESSES)), str(min(cores, _MOST_STACKS))
    others = [f"--ignore=tests/{name}" for name in ("e2e", "chaos", "compose")]
    yield Lane("unit", ("tests", *others, "-n", unit, "-q"))
    # The unit lane has the kernels of this very processor; other machines have others.
    gates = [f"tests/darts_core/{name}" for name in _GATES]
    for level in _levels():
        environment = {"DARTBOARD_KERNELS": level}
        yield Lane(f"kernels {level}", (*gates, "-k", "not torch", "-n", unit, "-q"), environment)
    # End to end each part of the files has a stack of its own; its one worker computes with one thread.
    yield Lane("end to end", ("tests/e2e", "-n", stacks, "--dist", "loadfile", "-q"))
    # Two workers and the servers that are started again and again: the machine is full with one of these.
    yield Lane("chaos", ("tests/chaos", "-q"))
    # Skipped where there is no Docker engine.
    yield Lane("containers", ("tests/compose", "-q"))


def _levels() -> Iterator[str]:
    from darts_core.kernels.levels import FLAGS, NATIVE, lacking

    for level in FLAGS:
        if level == NATIVE:
            continue
        try:
            missing = lacking(level)
        except ValueError as error:
            print(f"kernels {level} left out: {error}")
            continue
        if missing:
            print(f"kernels {level} left out: this processor lacks {', '.join(missing)}")
        else:
            yield level


def _pytest(lane: Lane) -> int:
    # Two processes of two threads each on two cores wait for each other more than they compute.
    environment = {"OMP_NUM_THREADS": "1", **os.environ, **lane.environment}
    command = [sys.executable, "-m", "pytest", *lane.arguments]
    return subprocess.run(command, cwd=_ROOT, env=environment, check=False).returncode
