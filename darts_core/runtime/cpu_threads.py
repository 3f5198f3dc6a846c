"""How many CPU threads each of a machine's workers computes with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

_VARIABLE: Final = "OMP_NUM_THREADS"


def share_of(environment: Mapping[str, str], workers: int, cores: int | None = None) -> dict[str, str]:
    """What each of so many workers is told: an equal part of the cores, unless the environment says otherwise.

    Workers that take all cores each are in one another's way: their threads spin while they wait for a core. cores:
    those that this process may use, unless given.
    """
    if environment.get(_VARIABLE) or workers < 2:
        return {}
    usable = len(os.sched_getaffinity(0)) if cores is None else cores
    return {_VARIABLE: str(max(1, usable // workers))}
