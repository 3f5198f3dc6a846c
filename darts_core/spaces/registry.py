"""Lists the search spaces. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from darts_core.spaces import bench_suite, darts, nasbench201, recurrent, robust_darts
from darts_core.spaces.space import CnnSpace, Space

SPACES: Final[Mapping[CnnSpace, Space]] = {
    cast(CnnSpace, space.name): space
    for space in (*darts.SPACES, *robust_darts.SPACES, *bench_suite.SPACES, *nasbench201.SPACES)
}
"""Of convolutional cells."""
RECURRENT_SPACES: Final[Mapping[str, Space]] = {space.name: space for space in recurrent.SPACES}


def space_of(name: str | None) -> Space | None:
    """The space of convolutional cells of this name, if there is one."""
    return SPACES.get(cast(CnnSpace, name))
