"""The dropout masks of one pass over a window of text. The caller draws them, so that passes can share them.

Gal and Ghahramani (arXiv:1512.05287): a mask is kept over all time steps. Survivors are scaled by 1 / (1 - rate).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class DropoutRates(NamedTuple):
    """Probabilities of being dropped; the authors' dropoute, dropouti, dropoutx, dropouth and dropout.

    word: of a whole word's embedding. input: of the embedded input. cell_input: of what the cell reads of it. hidden:
    of states inside the cell. output: of the cell's output before the decoder.
    """

    word: float
    input: float
    cell_input: float
    hidden: float
    output: float


class Masks(NamedTuple):
    """Factors, 0 or 1 / (1 - rate). word: (words, 1), one for each of the vocabulary; the others: (batch, size)."""

    word: Tensor
    input: Tensor
    cell_input: Tensor
    hidden: Tensor
    output: Tensor


def draw_masks(
    rates: DropoutRates, *, words: int, size: int, batch: int, source: torch.Generator, dtype: torch.dtype
) -> Masks:
    """Draw all masks of a pass from a generator, on its device."""

    def draw(rate: float, *shape: int) -> Tensor:
        keep = torch.rand(shape, generator=source, device=source.device) >= rate
        return keep.to(dtype) / (1 - rate)

    return Masks(
        word=draw(rates.word, words, 1),
        input=draw(rates.input, batch, size),
        cell_input=draw(rates.cell_input, batch, size),
        hidden=draw(rates.hidden, batch, size),
        output=draw(rates.output, batch, size),
    )
