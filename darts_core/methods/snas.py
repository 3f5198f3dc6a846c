"""SNAS (arXiv:1812.09926): operation weights drawn from a concrete distribution, on a single level."""

from __future__ import annotations

from typing import ClassVar

from darts_core.methods.gdas import Gdas


class Snas(Gdas):
    """Weights q = softmax((log_softmax(alpha) + g) / temperature), of all operations."""

    samples_one: ClassVar[bool] = False
