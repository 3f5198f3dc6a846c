"""`dartboard test`: the project's own tests: unit tests, in parallel, then end to end, then under kills."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import typer

_ROOT = Path(__file__).resolve().parents[2]


def test(context: typer.Context) -> None:
    """Run the tests; what follows is handed to pytest in their stead (`dartboard test tests/api -k lease`)."""
    if context.args:
        raise typer.Exit(_pytest(*context.args))
    # End to end each half of the files has a stack of its own; its one worker computes with one thread.
    code = _pytest("tests", "--ignore=tests/e2e", "--ignore=tests/chaos", "-n", "2", "-q")
    code = code or _pytest("tests/e2e", "-n", "2", "--dist", "loadfile", "-q")
    # Two workers and the servers that are started again and again: the machine is full with one of these.
    raise typer.Exit(code or _pytest("tests/chaos", "-q"))


def _pytest(*arguments: str) -> int:
    # Two processes of two threads each on two cores wait for each other more than they compute.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=_ROOT, env=environment, check=False).returncode
