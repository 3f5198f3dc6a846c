"""Splits a part of the data into one half for selection and one for measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from darts_core.data.order import permutation


@dataclass(frozen=True)
class Part:
    """The data behind a metric: `count` images or words of the data set's part `part`, which has `of` in all."""

    part: Literal["test", "valid"]
    count: int
    of: int


def halves(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Indices (ascending, int64) of two halves of a part, stratified by class; the second half gets an odd one.

    labels: (N,). The draw is fixed, so that all ensembles on the same data are comparable.
    """
    first = torch.zeros(len(labels), dtype=torch.bool)
    order = permutation(len(labels), 0, "ensemble halves")
    drawn = labels[order]
    for label in sorted(set(drawn.tolist())):
        places = order[drawn == label]
        first[places[: len(places) // 2]] = True
    return first.nonzero().flatten(), (~first).nonzero().flatten()
