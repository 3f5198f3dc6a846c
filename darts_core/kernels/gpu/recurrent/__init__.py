"""Provides Triton kernels for the search of recurrent cells. A run enables them when they pass its self-test.

Importing it needs no Triton.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

# A kernel holds whole rows, one number for each column of a batch.
MOST_COLUMNS: Final = 1024

_tested: frozenset[tuple[int, int]] = frozenset()
_failure: str | None = None


def available() -> bool:
    """Whether this process uses the kernels."""
    return bool(_tested)


def serves(x: Tensor) -> bool:
    """Whether the kernels compute the window x, (T, B, size)."""
    return x.is_cuda and x.itemsize == 4 and (x.shape[1], x.shape[2]) in _tested


def failure() -> str | None:
    """Why the kernels are not used although the last run wanted them: one sentence. None if they are, or none did."""
    return _failure


def enable(batches: Iterable[int], size: int) -> None:
    """Use the kernels in this process for windows of so many columns and units.

    Only `start.enable_recurrent_kernels` calls it, after a check of them.
    """
    global _tested, _failure
    _tested, _failure = frozenset((batch, size) for batch in batches if batch <= MOST_COLUMNS), None


def disable(failure: str | None = None) -> None:
    """Use torch's operations in this process until a run enables the kernels again. failure: see `failure`."""
    global _tested, _failure
    _tested, _failure = frozenset(), failure
