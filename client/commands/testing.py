"""`dartboard test`: the project's own tests: unit tests in parallel, end to end, under kills, and in containers."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import typer

_ROOT = Path(__file__).resolve().parents[2]
# Each process holds torch in memory, each stack a database, a broker and a browser as well.
_MOST_PROCESSES = 16
_MOST_STACKS = 6


def test(context: typer.Context) -> None:
    """Run the tests; what follows is handed to pytest in their stead (`dartboard test tests/api -k lease`)."""
    if find_spec("pytest") is None:
        raise typer.BadParameter("the tests' tools are not installed here: run it as ./dartboard test, which adds them")
    if context.args:
        raise typer.Exit(_pytest(*context.args))
    cores = max(2, len(os.sched_getaffinity(0)))
    unit, stacks = str(min(cores, _MOST_PROCESSES)), str(min(cores, _MOST_STACKS))
    code = _pytest("tests", "--ignore=tests/e2e", "--ignore=tests/chaos", "--ignore=tests/compose", "-n", unit, "-q")
    # End to end each part of the files has a stack of its own; its one worker computes with one thread.
    code = code or _pytest("tests/e2e", "-n", stacks, "--dist", "loadfile", "-q")
    # Two workers and the servers that are started again and again: the machine is full with one of these.
    code = code or _pytest("tests/chaos", "-q")
    # Skipped, and says so, where there is no Docker engine.
    raise typer.Exit(code or _pytest("tests/compose", "-q"))


def _pytest(*arguments: str) -> int:
    # Two processes of two threads each on two cores wait for each other more than they compute.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=_ROOT, env=environment, check=False).returncode
