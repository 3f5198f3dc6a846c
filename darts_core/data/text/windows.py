"""Windows of a text: columns that are read side by side, and how many rows each training step reads.

As in the DARTS authors' code, which follows awd-lstm (arXiv:1708.02182). Lengths are a pure function of (seed, epoch).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from darts_core.data.order import generator
from darts_core.errors import DataError

# How often a step reads the full length; otherwise it reads half, so that windows do not always break at one place.
_FULL: Final = 0.95
# Of random lengths: deviation, least, and how far above `bptt` one may go.
_DEVIATION: Final = 5.0
_SHORTEST: Final = 5
_LONGER: Final = 20


class TextBatch(NamedTuple):
    """tokens: (T, B), int64. targets: (T, B), the word behind each."""

    tokens: Tensor
    targets: Tensor


class Span(NamedTuple):
    """Rows that a step reads: from `start`, `length` of them or as many as are left."""

    start: int
    length: int


def columns(words: Tensor, batch: int, name: str) -> Tensor:
    """A text (N,) cut into `batch` equal stretches side by side: (N // batch, batch). What is left over is dropped.

    Raises DataError, naming the part, when the stretches would be too short to learn from.
    """
    rows = len(words) // batch
    if rows < 3:
        most = len(words) // 3
        way_out = f"give at most {most:,}, or use a longer text" if most else "use a longer text"
        raise DataError(f"a batch of {batch} is too large for the {len(words):,} words of the {name} text; {way_out}")
    return words[: rows * batch].view(batch, rows).t().contiguous()


def window(text: Tensor, start: int, length: int) -> TextBatch:
    """Rows start.. of columns (N, B), at most `length`, each with the row behind it."""
    length = min(length, len(text) - 1 - start)
    return TextBatch(text[start : start + length], text[start + 1 : start + 1 + length])


def search_spans(rows: int, bptt: int, seed: int, epoch: int) -> list[Span]:
    """What an epoch of a search reads: lengths of bptt, one in twenty of half of it."""
    return _spans(rows, bptt, seed, epoch, deviation=0.0)


def evaluation_spans(rows: int, bptt: int, seed: int, epoch: int) -> list[Span]:
    """What an epoch of retraining reads: the same, spread normally, at least 5 and at most bptt + 20 rows."""
    return _spans(rows, bptt, seed, epoch, deviation=_DEVIATION)


def _spans(rows: int, bptt: int, seed: int, epoch: int, *, deviation: float) -> list[Span]:
    source = generator(seed, "lengths", epoch)
    spans, start = [], 0
    while start < rows - 2:
        length = bptt if torch.rand((), generator=source).item() < _FULL else bptt / 2
        if deviation:
            drawn = length + deviation * torch.randn((), generator=source).item()
            length = min(max(_SHORTEST, int(drawn)), bptt + _LONGER)
        spans.append(Span(start, int(length)))
        start += int(length)
    return spans
