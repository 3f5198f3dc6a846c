"""Compiles the training passes of an evaluation network's cells with `torch.compile`.

Cells of the same structure and shapes share the compiled code, in which a map goes through memory once where the
operations of a called cell read and write it several times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

# Structures and shapes, each with and without drop-path: a network of 20 cells has about 16.
_MOST_VARIANTS: Final = 64


class CompiledCells:
    """Runs cells on batches of one size, compiling each kind of cell at its first pass."""

    def __init__(self, images: int, run: Callable[..., Tensor]) -> None:
        """run: a cell's pass, the cell first."""
        self.images = images
        self._run: Callable[..., Tensor] = torch.compile(  # type: ignore[call-overload]
            run, dynamic=False, recompile_limit=_MOST_VARIANTS, isolate_recompiles=True
        )

    def __call__(self, cell: nn.Module, *inputs: Tensor | None) -> Tensor:
        """Run a cell. Raises RuntimeError where torch cannot compile it."""
        return self._run(cell, *inputs)
