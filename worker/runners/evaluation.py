"""Runs evaluations."""

from __future__ import annotations

from functools import partial

from worker.runners.training import train

run = partial(train, "evaluation")
