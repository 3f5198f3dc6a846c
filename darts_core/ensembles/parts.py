"""Which data a committee is put together on, and which it is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from darts_core.data.order import permutation


@dataclass(frozen=True)
class Part:
    """What a figure is of: `count` images or words of the data set's part `part`, which has `of` in all."""

    part: Literal["test", "valid"]
    count: int
    of: int


def halves(labels: Tensor) -> tuple[Tensor, Tensor]:
    """The places (ascending, int64) of two halves of a part, each class divided evenly; of odd ones the second has
    one more.

    labels: (N,). By a fixed draw: the same for every ensemble on these data, so that figures can be compared.
    """
    first = torch.zeros(len(labels), dtype=torch.bool)
    order = permutation(len(labels), 0, "ensemble halves")
    drawn = labels[order]
    for label in sorted(set(drawn.tolist())):
        places = order[drawn == label]
        first[places[: len(places) // 2]] = True
    return first.nonzero().flatten(), (~first).nonzero().flatten()
