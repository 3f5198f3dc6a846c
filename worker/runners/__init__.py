"""Runs jobs: a module a kind, named like it, with a function `run` (see `runner.Runner`)."""

from __future__ import annotations

from importlib import import_module

from worker.runners.runner import Runner


def runner_of(kind: str) -> Runner:
    """The runner of a kind of job. Imports torch. Raises ModuleNotFoundError for a kind that has none here."""
    runner: Runner = import_module(f"{__name__}.{kind}").run
    return runner
