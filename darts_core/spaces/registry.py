"""Lists the search spaces of convolutional cells. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from darts_core.spaces import bench_suite, darts, nasbench201, robust_darts
from darts_core.spaces.space import CnnSpace, Space

SPACES: Final[Mapping[CnnSpace, Space]] = {
    space.name: space for space in (*darts.SPACES, *robust_darts.SPACES, *bench_suite.SPACES, *nasbench201.SPACES)
}
