"""Computes the number of CPU threads of each worker on a machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

_VARIABLE: Final = "OMP_NUM_THREADS"


def share_of(environment: Mapping[str, str], workers: int, cores: int | None = None) -> dict[str, str]:
    """Environment variables for one of so many workers: an equal share of the cores, unless already set.

    Workers that each use all cores slow each other down: their threads spin while waiting for a core. cores: by default
    those available to this process.
    """
    if environment.get(_VARIABLE) or workers < 2:
        return {}
    usable = len(os.sched_getaffinity(0)) if cores is None else cores
    return {_VARIABLE: str(max(1, usable // workers))}
