"""RSPS (arXiv:1902.07638): random search with weight sharing trains one random path of the supernet a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from darts_core.configs import RnnSearchConfig, SearchConfig
from darts_core.genotypes import (
    AnyGenotype,
    ConvolutionalGenotype,
    NasBench201Genotype,
    random_genotype,
    random_nasbench201,
)
from darts_core.genotypes.derive import strongest
from darts_core.genotypes.nasbench201 import strongest_operations
from darts_core.methods.method import SearchMethod, Tables
from darts_core.spaces.nasbench201 import CELL

Path = list[int | None]
"""The operation of each edge of a cell; None for an edge that is left out."""


class WeightSharing(SearchMethod):
    """Weights that are one-hot on the edges of a path and 0 on all others; the alphas stay 0.

    In each weight step, two different inputs of each node and an operation on each of them, `none` included, are drawn
    uniformly, in NAS-Bench-201's space an operation on every edge; all cells of a kind share the path. A measurement
    draws a path for each batch. Once a cell is chosen, it takes the place of all draws.
    """

    draws: ClassVar[bool] = True
    samples_one: ClassVar[bool] = True
    draws_on_host: ClassVar[bool] = True

    def __init__(self, config: SearchConfig | RnnSearchConfig) -> None:
        super().__init__(config)
        self._cell: dict[str, Path] = {}
        self._path: dict[str, Path] = {}

    @property
    def trains_alphas(self) -> bool:
        """Never."""
        return False

    def choose(self, cell: ConvolutionalGenotype) -> None:
        """Let all following forward passes compute this cell."""
        assert self.config.primitives is not None
        primitives = [*map(str, self.config.primitives)]
        if isinstance(cell, NasBench201Genotype):
            self._cell = {CELL: [primitives.index(edge.op) for edge in cell.cell]}
            return
        self._cell = {
            kind: _path_of([(primitives.index(edge.op), edge.source) for edge in edges])
            for kind, edges in (("normal", cell.normal), ("reduce", cell.reduce))
        }

    def initial(self, edges: int, primitives: int) -> Tensor:
        """Zeros."""
        return torch.zeros(edges, primitives)

    def operation_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """One-hot rows for the path, zeros elsewhere."""
        self._path = self._cell or {kind: self._drawn(kind, *alpha.shape) for kind, alpha in alphas.items()}
        if self._within == "measuring":
            self._forwards += 1
        return {kind: _one_hot(self._path[kind], alpha.shape[1]).to(alpha) for kind, alpha in alphas.items()}

    def chosen(self, weights: Tables) -> Mapping[str, Sequence[int | None]]:
        """The path of this forward pass."""
        return self._path

    def strengths(self, alphas: Tables) -> dict[str, list[list[float]]]:
        """The chance of each operation to be on the path; 1 for those of the chosen cell."""
        if self._cell:
            return {kind: _one_hot(self._cell[kind], alpha.shape[1]).tolist() for kind, alpha in alphas.items()}
        if CELL in alphas:
            return {CELL: torch.full_like(alphas[CELL], 1 / alphas[CELL].shape[1], dtype=torch.float64).tolist()}
        return {kind: _chances(self._columns(kind, *alpha.shape), alpha.shape[1]) for kind, alpha in alphas.items()}

    def genotype(self, alphas: Tables, primitives: tuple[str, ...]) -> AnyGenotype:
        """The chosen cell; before the choice the cell of the seed, as `random` draws it."""
        if not self._cell and CELL in alphas:
            return random_nasbench201(self.config.seed)
        if not self._cell:
            nodes, lists = self.config.nodes, self.lists
            return random_genotype(self.config.seed, nodes=nodes, primitives=primitives, lists=lists)
        found = self.strengths(alphas)
        if CELL in found:
            return strongest_operations(found[CELL], primitives)
        return strongest(found["normal"], found["reduce"], primitives, self.lists)

    def state(self) -> dict[str, Tensor]:
        """The chosen cell, (edges,) for each kind: the place of the operation, -1 for an edge that is left out."""
        return {
            kind: torch.tensor([-1 if operation is None else operation for operation in path])
            for kind, path in self._cell.items()
        }

    def load_state(self, state: Tables) -> None:
        """Load the chosen cell."""
        self._cell = {kind: [None if place < 0 else place for place in path.tolist()] for kind, path in state.items()}

    def _drawn(self, kind: str, edges: int, primitives: int) -> Path:
        generator = self.generator(kind)
        columns = self._columns(kind, edges, primitives)
        path: Path = []
        while len(path) < edges:
            inputs: Path = [None] * (edges if kind == CELL else _inputs(len(path)))
            kept = len(inputs) if kind == CELL else 2
            for source in torch.randperm(len(inputs), generator=generator)[:kept].tolist():
                some = columns[len(path) + source]
                inputs[source] = some[int(torch.randint(len(some), (), generator=generator))]
            path += inputs
        return path

    def _columns(self, kind: str, edges: int, primitives: int) -> list[list[int]]:
        """The columns of each edge's operations."""
        if kind not in self.lists:
            return [list(range(primitives))] * edges
        names = [*map(str, self.config.primitives or ())]
        return [[names.index(name) for name in listed] for listed in self.lists[kind]]


def _path_of(edges: Sequence[tuple[int, int]]) -> Path:
    """The path of a cell's two edges a node, each an operation and a source."""
    path: Path = []
    for node in range(len(edges) // 2):
        kept = {source: operation for operation, source in edges[2 * node : 2 * node + 2]}
        path += [kept.get(source) for source in range(2 + node)]
    return path


def _one_hot(path: Path, primitives: int) -> Tensor:
    """A table (edges, primitives)."""
    return torch.tensor([[float(column == operation) for column in range(primitives)] for operation in path])


def _chances(columns: Sequence[Sequence[int]], primitives: int) -> list[list[float]]:
    rows: list[list[float]] = []
    while len(rows) < len(columns):
        inputs = _inputs(len(rows))
        for some in columns[len(rows) : len(rows) + inputs]:
            rows.append([2 / inputs / len(some) if column in some else 0.0 for column in range(primitives)])
    return rows


def _inputs(first: int) -> int:
    """The number of inputs of the node whose edges begin with this one."""
    inputs = 2
    while first > 0:
        first, inputs = first - inputs, inputs + 1
    return inputs
