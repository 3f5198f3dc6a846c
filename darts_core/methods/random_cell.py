"""The baseline of every search: a random cell, drawn by the seed; nothing is trained."""

from __future__ import annotations

import torch
from torch import Tensor

from darts_core.genotypes import AnyGenotype, random_nasbench201
from darts_core.genotypes.random_cells import random_genotype, random_recurrent_genotype
from darts_core.methods.method import SearchMethod, Tables
from darts_core.spaces.nasbench201 import CELL


class RandomCell(SearchMethod):
    """Uniform alphas, and the cell of the seed, as `genotype: "random"` with `genotype_seed` draws it."""

    def initial(self, edges: int, primitives: int) -> Tensor:
        """Zeros."""
        return torch.zeros(edges, primitives)

    def genotype(self, alphas: Tables, primitives: tuple[str, ...]) -> AnyGenotype:
        """The cell of the seed."""
        seed, nodes = self.config.seed, self.config.nodes
        if "recurrent" in alphas:
            return random_recurrent_genotype(seed, nodes=nodes, primitives=primitives)
        if CELL in alphas:
            return random_nasbench201(seed)
        return random_genotype(seed, nodes=nodes, primitives=primitives, lists=self.lists)
