"""Cuts a text into parallel columns and chooses how many rows each training step reads.

Follows the DARTS authors' code, hence awd-lstm (arXiv:1708.02182). Lengths are a pure function of (seed, epoch).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from darts_core.data.order import generator
from darts_core.errors import DataError

# Probability of the full length; otherwise half, so that windows do not always break at the same place.
_FULL: Final = 0.95
# Of random lengths: standard deviation and minimum.
_DEVIATION: Final = 5.0
_SHORTEST: Final = 5
LONGER: Final = 20
"""Rows above `bptt` that a window of random length has at most."""


class TextBatch(NamedTuple):
    """tokens: (T, B), int64. targets: (T, B), the next words."""

    tokens: Tensor
    targets: Tensor


class Span(NamedTuple):
    """Rows of one step: `length` rows from `start`, or as many as remain."""

    start: int
    length: int


def columns(words: Tensor, batch: int, name: str) -> Tensor:
    """Cut a text (N,) into `batch` equal columns: (N // batch, batch). The remainder is dropped.

    Raises DataError, naming the part, when the columns would be too short to train on.
    """
    rows = len(words) // batch
    if rows < 3:
        most = len(words) // 3
        way_out = f"give at most {most:,}, or use a longer text" if most else "use a longer text"
        raise DataError(f"a batch of {batch} is too large for the {len(words):,} words of the {name} text; {way_out}")
    return words[: rows * batch].view(batch, rows).t().contiguous()


def window(text: Tensor, start: int, length: int) -> TextBatch:
    """Up to `length` rows of columns (N, B) from `start`, each with its next row."""
    length = min(length, len(text) - 1 - start)
    return TextBatch(text[start : start + length], text[start + 1 : start + 1 + length])


def search_spans(rows: int, bptt: int, seed: int, epoch: int) -> list[Span]:
    """Spans of a search epoch: bptt rows each, one in twenty half as long."""
    return _spans(rows, bptt, seed, epoch, deviation=0.0)


def evaluation_spans(rows: int, bptt: int, seed: int, epoch: int) -> list[Span]:
    """Spans of a retraining epoch: as in a search, plus normal noise, from 5 to bptt + 20 rows."""
    return _spans(rows, bptt, seed, epoch, deviation=_DEVIATION)


def _spans(rows: int, bptt: int, seed: int, epoch: int, *, deviation: float) -> list[Span]:
    source = generator(seed, "lengths", epoch)
    spans, start = [], 0
    while start < rows - 2:
        length = bptt if torch.rand((), generator=source).item() < _FULL else bptt / 2
        if deviation:
            drawn = length + deviation * torch.randn((), generator=source).item()
            length = min(max(_SHORTEST, int(drawn)), bptt + LONGER)
        spans.append(Span(start, int(length)))
        start += int(length)
    return spans
