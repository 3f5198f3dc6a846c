"""DARTS-PT (arXiv:2108.04392): a search's method whose edges are projected one by one to a single operation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from darts_core.configs.selection import PerturbationConfig
from darts_core.data.batches import Batch
from darts_core.genotypes import AnyGenotype
from darts_core.genotypes.derive import strongest
from darts_core.genotypes.nasbench201 import strongest_operations
from darts_core.methods.method import PassName, SearchMethod, Tables
from darts_core.primitives import edges_of
from darts_core.spaces.nasbench201 import CELL

_OPEN: Final = -1
_DELETED: Final = -2
_INNER: Final = "search."
"""Begins the names of the search method's own tensors in a checkpoint."""


class Removal(NamedTuple):
    """An edge of a kind of cell whose weight is 0 for a measurement; with `operation` only that one's."""

    kind: str
    edge: int
    operation: int | None = None


class Perturbation(SearchMethod):
    """The search's method with one-hot weights on edges that have been projected, and zeros on deleted ones.

    The weights of other edges are the method's own, as at the search's last epoch, and its alphas go on training.
    `draws` and `samples_one` are the class's of the search's method: see `darts_core.training.arrangement`.
    """

    def __init__(self, config: PerturbationConfig, search: SearchMethod) -> None:
        super().__init__(config)
        self.search = search
        self._search_epoch = config.search_epoch
        # For each edge the place of its operation, or one of the marks above.
        edges = edges_of(config.nodes, config.cell_space.inputs)
        self._choices = {kind: [_OPEN] * edges for kind in config.cell_space.cells}
        self._removal: Removal | None = None
        # By kind: the factor of the method's weights, and the weights of projected edges. CUDA graphs read them.
        self._tables: dict[str, tuple[Tensor, Tensor]] = {}

    def project(self, kind: str, edge: int, operation: int) -> None:
        """Give an edge a single operation."""
        self._choices[kind][edge] = operation
        self._fill(kind)

    def delete(self, kind: str, edge: int) -> None:
        """Delete an edge."""
        self._choices[kind][edge] = _DELETED
        self._fill(kind)

    def kept(self, kind: str, edges: Sequence[int]) -> list[int]:
        """Those of the edges that are not deleted."""
        return [edge for edge in edges if self._choices[kind][edge] != _DELETED]

    @contextlib.contextmanager
    def without(self, removal: Removal) -> Iterator[None]:
        """Set the removal's weights to 0, and leave all others as they are, within the context."""
        self._removal = removal
        try:
            yield
        finally:
            self._removal = None

    def begin_epoch(self, epoch: int) -> None:
        """The search's method stays in its last epoch."""
        super().begin_epoch(epoch)
        self.search.begin_epoch(self._search_epoch)

    def begin_step(self, step: int) -> None:
        super().begin_step(step)
        self.search.begin_step(step)

    def begin_pass(self, name: PassName) -> None:
        super().begin_pass(name)
        self.search.begin_pass(name)

    @property
    def trains_alphas(self) -> bool:
        """In every epoch."""
        return True

    @property
    def partial(self) -> int:
        return self.search.partial

    @property
    def branches(self) -> bool:
        return self.search.branches

    def branch_weight(self, like: Tensor) -> Tensor:
        return self.search.branch_weight(like)

    def tables(self, kinds: Sequence[str], nodes: int, edges: int, primitives: int) -> dict[str, Tensor]:
        return self.search.tables(kinds, nodes, edges, primitives)

    def prepare_weight_step(self, network: nn.Module, batch: Batch, weights: Sequence[Tensor]) -> None:
        self.search.prepare_weight_step(network, batch, weights)

    @property
    def skip_dropout(self) -> float:
        return self.search.skip_dropout

    def path_factors(self, cells: int, edges: int, x: Tensor) -> Tensor | None:
        return self.search.path_factors(cells, edges, x)

    @property
    def cutout_probability(self) -> float:
        return self.search.cutout_probability

    def alpha_penalty(self, alphas: Tables) -> Tensor | None:
        return self.search.alpha_penalty(alphas)

    def operation_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """Those of the search's method, with projections and removal."""
        return self._projected(self.search.operation_weights(alphas), self.search.edge_weights(alphas))

    def expected_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """Those of the search's method, with projections and removal."""
        return self._projected(self.search.expected_weights(alphas), self.search.edge_weights(alphas))

    def edge_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """Those of the search's method, 0 for deleted and removed edges."""
        found = {}
        for kind, weights in self.search.edge_weights(alphas).items():
            keep, fixed = self._tables_on(kind, weights, len(self.config.primitives or ()))
            kept = (keep + fixed).amax(dim=-1)
            found[kind] = weights * kept
            if self._removal is not None and self._removal.kind == kind and self._removal.operation is None:
                found[kind] = found[kind] * _others(kept, self._removal.edge)
        return found

    def chosen(self, weights: Tables) -> Mapping[str, Sequence[int | None]]:
        """Those of the search's method, none of deleted edges."""
        found = self.search.chosen(weights)
        return {
            kind: [
                None if mark == _DELETED else operation
                for mark, operation in zip(self._choices[kind], operations, strict=True)
            ]
            for kind, operations in found.items()
        }

    def strengths(self, alphas: Tables) -> dict[str, list[list[float]]]:
        """Those of the search's method; of projected edges one-hot, times the edge's weight if there are any."""
        exact = {name: alpha.detach().double().cpu() for name, alpha in alphas.items()}
        edges = {kind: weights.tolist() for kind, weights in self.search.edge_weights(exact).items()}
        found = self.search.strengths(alphas)
        for kind, rows in found.items():
            for edge, mark in enumerate(self._choices[kind]):
                if mark != _OPEN:
                    factor = edges[kind][edge] if kind in edges else 1.0
                    rows[edge] = [factor * (place == mark) for place in range(len(rows[edge]))]
        return found

    def genotype(self, alphas: Tables, primitives: tuple[str, ...]) -> AnyGenotype:
        """The cell of the kept edges and their operations, by DARTS' rule on the strengths while there are more.

        An edge that was projected to `none` gets its strongest other operation in the search's method. In
        NAS-Bench-201's space the cell has the strongest operation of each edge, `none` included.
        """
        found, before = self.strengths(alphas), self.search.strengths(alphas)
        if CELL in found:
            return strongest_operations(found[CELL], primitives)
        for kind, rows in found.items():
            for edge, mark in enumerate(self._choices[kind]):
                if mark >= 0 and primitives[mark] == "none":
                    rows[edge] = before[kind][edge]
        return strongest(found["normal"], found["reduce"], primitives, self.lists)

    def state(self) -> dict[str, Tensor]:
        """For each kind (edges,): the place of an edge's operation, -1 before its projection, -2 once it is deleted."""
        own = {kind: torch.tensor(marks) for kind, marks in self._choices.items()}
        return own | {f"{_INNER}{name}": value for name, value in self.search.state().items()}

    def load_state(self, state: Tables) -> None:
        """Load choices and the state of the search's method."""
        self._choices |= {kind: table.tolist() for kind, table in state.items() if not kind.startswith(_INNER)}
        self.search.load_state(
            {name.removeprefix(_INNER): value for name, value in state.items() if name.startswith(_INNER)}
        )
        for kind in self._choices:
            self._fill(kind)

    def _projected(self, weights: dict[str, Tensor], edges: dict[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for kind, rows in weights.items():
            keep, fixed = self._tables_on(kind, rows, rows.shape[1])
            found[kind] = rows * keep + (fixed if kind not in edges else edges[kind][:, None] * fixed)
            if self._removal is not None and self._removal.kind == kind:
                found[kind] = found[kind] * _others(found[kind], self._removal.edge, self._removal.operation)
        return found

    def _tables_on(self, kind: str, like: Tensor, primitives: int) -> tuple[Tensor, Tensor]:
        """Both tables (edges, primitives) on the device and of the type of `like`."""
        held = self._tables.get(kind)
        if held is None or held[0].device != like.device or held[0].dtype != like.dtype:
            size = (len(self._choices[kind]), primitives)
            held = self._tables[kind] = (like.new_zeros(size), like.new_zeros(size))
            self._fill(kind)
        return held

    def _fill(self, kind: str) -> None:
        """Write the choices of a kind of cell to its tables, once there are any."""
        for keep, fixed in [self._tables[kind]] if kind in self._tables else []:
            for edge, mark in enumerate(self._choices[kind]):
                keep[edge] = float(mark == _OPEN)
                fixed[edge] = 0
                if mark >= 0:
                    fixed[edge, mark] = 1


def _others(like: Tensor, edge: int, operation: int | None = None) -> Tensor:
    """Ones, but 0 at an edge or at one operation of it."""
    factor = torch.ones_like(like)
    factor[edge if operation is None else (edge, operation)] = 0
    return factor
