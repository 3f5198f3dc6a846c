"""GDAS (arXiv:1910.04465): one sampled operation for each edge, by a straight-through Gumbel softmax."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.genotypes import AnyGenotype
from darts_core.genotypes.derive import strongest_pairs
from darts_core.methods.method import PassName, SearchMethod, Tables
from darts_core.methods.sampling import gumbel
from darts_core.spaces.nasbench201 import CELL


class Gdas(SearchMethod):
    """Weights h = onehot(argmax q) - stopgrad(q) + q with q = softmax((log_softmax(alpha) + g) / temperature).

    All cells of a kind share the sample of a forward pass. As in the authors' variant for NASNet's space, an operation
    that was not drawn is not computed and gives its alpha no gradient but by the softmax.
    """

    draws: ClassVar[bool] = True
    samples_one: ClassVar[bool] = True

    @property
    def temperature(self) -> float:
        """Linear over the epochs."""
        start, end = self.config.temperature_start, self.config.temperature_end
        assert start is not None
        assert end is not None
        return self.linear(start, end)

    @property
    def schedule(self) -> tuple[float, ...]:
        """With the temperature."""
        return (*super().schedule, self.temperature)

    def draws_in(self, name: PassName) -> bool:
        return True

    def draw(self, shape: torch.Size, source: torch.Generator) -> Tensor:
        return gumbel(shape, source)

    def operation_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """One-hot rows with the gradient of the soft ones."""
        weights = {kind: self._drawn(kind, alpha) for kind, alpha in self.present(alphas).items()}
        self._forwards += 1
        return weights

    def genotype(self, alphas: Tables, primitives: tuple[str, ...]) -> AnyGenotype:
        """Each node keeps its two strongest pairs of an edge and an operation, perhaps two operations of one edge.

        In NAS-Bench-201's space and for recurrent cells the rule is DARTS'.
        """
        if "recurrent" in alphas or CELL in alphas or not self.samples_one:
            return super().genotype(alphas, primitives)
        found = self.strengths(alphas)
        return strongest_pairs(found["normal"], found["reduce"], primitives, self.lists)

    def chosen(self, weights: Tables) -> dict[str, list[int]]:
        """The drawn operations, on a CPU; on a GPU the others are computed and masked, without waiting for the draw."""
        if not self.samples_one or any(drawn.is_cuda for drawn in weights.values()):
            return {}
        return {kind: drawn.argmax(dim=-1).tolist() for kind, drawn in weights.items()}

    def _drawn(self, kind: str, alpha: Tensor) -> Tensor:
        noise = self.numbers(kind, alpha)
        soft = F.softmax((F.log_softmax(alpha, dim=-1) + noise) / self.temperature, dim=-1)
        return straight_through(soft) if self.samples_one else soft


def straight_through(soft: Tensor) -> Tensor:
    """One-hot rows at the largest entry of each row, exactly 0 elsewhere, with the gradient of `soft`."""
    hot = torch.zeros_like(soft).scatter_(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
    return hot + (soft - soft.detach())
