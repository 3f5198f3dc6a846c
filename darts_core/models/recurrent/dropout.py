"""Draws the dropout masks of a pass over a window of text, which several passes can share.

Gal and Ghahramani (arXiv:1512.05287): all time steps use the same mask. Kept values are scaled by 1 / (1 - rate).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class DropoutRates(NamedTuple):
    """Dropout probabilities; the authors' dropoute, dropouti, dropoutx, dropouth and dropout.

    word: whole embeddings. input: the embedded input. cell_input: the cell's input, applied after `input`. hidden:
    states in the cell. output: the cell's output before the decoder.
    """

    word: float
    input: float
    cell_input: float
    hidden: float
    output: float


class Masks(NamedTuple):
    """Factors 0 or 1 / (1 - rate). word: (words, 1), for the whole vocabulary. All others: (batch, size)."""

    word: Tensor
    input: Tensor
    cell_input: Tensor
    hidden: Tensor
    output: Tensor


def draw_masks(
    rates: DropoutRates, *, words: int, size: int, batch: int, source: torch.Generator, dtype: torch.dtype
) -> Masks:
    """Draw all masks of a pass from the generator, on its device."""

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
