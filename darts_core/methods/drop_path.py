"""R-DARTS by drop-path (arXiv:1909.09656), section 5.1: drops whole edges of the supernet sample by sample."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from darts_core.methods.method import SearchMethod


class DropPathDarts(SearchMethod):
    """DARTS whose steps drop the mixed output of each edge with a probability, separately for each sample and cell.

    The others are divided by the probability of staying. As in the authors' code both steps drop; measurements do not.
    The probability grows linearly from 0 in the first epoch to `drop_path` in the last, that of cutout from 0 to 1.
    """

    draws: ClassVar[bool] = True

    @property
    def rate(self) -> float:
        """Probability that a sample drops an edge."""
        return self.linear(0.0, self.config.drop_path or 0.0)

    @property
    def cutout_probability(self) -> float:
        """Linear over the epochs from 0 to 1."""
        return self.progress()

    def path_factors(self, cells: int, edges: int, x: Tensor) -> Tensor | None:
        """0 where a sample drops an edge, elsewhere 1 / (1 - rate).

        A second-order alpha step draws once for all its forward passes: it takes differences of them.
        """
        if self.rate == 0 or self._within == "measuring":
            return None
        keep = 1 - self.rate
        drawn = torch.rand((cells, len(x), edges), generator=self.generator("paths"), dtype=torch.float64)
        if self.config.order == 1 or self._within == "weights":
            self._forwards += 1
        return (drawn < keep).to(x) / keep
