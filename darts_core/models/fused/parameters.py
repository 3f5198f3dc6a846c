"""Collects filters, matrices and statistics from a cell's modules, by source state.

The modules, parameters, buffers and `state_dict` keys are those of the plain cell; only the grouping differs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from darts_core.kernels import gpu
from darts_core.models.fused.columns import Columns
from darts_core.models.fused.stacking import side_by_side, stacked

_STATISTICS: Final = ("running_mean", "running_var", "num_batches_tracked")

Convolutions = list[nn.Conv2d]
Norms = list[nn.BatchNorm2d]
Kinds = list[tuple[int, int]]


class Statistics(NamedTuple):
    """Batch means and biased variances of a group of BatchNorms, (E, K, C), over so many pixels per channel.

    pixels: a scalar on the device if only that knows their number.
    """

    norms: Norms
    mean: Tensor
    variance: Tensor
    pixels: int | Tensor


@dataclass
class SourceModules:
    """Edges that leave one source state of a cell, and their modules in groups that are computed together.

    These edges enter successive nodes and have the same operations. Groups are ordered by node, and within a node as in
    `kinds`. places: the number of the state. The cell's two inputs may be one source: their edges into a node are then
    computed as one that has the operations of both. edges: for each node, of each state.
    """

    places: tuple[int, ...]
    columns: Columns
    edges: list[tuple[int, ...]]
    first_node: int
    stride: int
    first: list[Convolutions] = field(default_factory=list)
    inner: Convolutions = field(default_factory=list)
    outer: list[Convolutions] = field(default_factory=list)
    dilated: list[Convolutions] = field(default_factory=list)
    last: Convolutions = field(default_factory=list)
    reduces: list[Convolutions] = field(default_factory=list)
    inner_norms: Norms = field(default_factory=list)
    last_norms: Norms = field(default_factory=list)
    pool_norms: Norms = field(default_factory=list)
    reduce_norms: list[Norms] = field(default_factory=list)

    def groups(self) -> list[Convolutions]:
        """Return the non-empty groups of convolutions."""
        return [g for g in (*self.first, self.inner, *self.outer, *self.dilated, self.last, *self.reduces) if g]

    def norm_groups(self) -> list[Norms]:
        """Return the non-empty groups of BatchNorms."""
        return [g for g in (self.inner_norms, self.last_norms, self.pool_norms, *self.reduce_norms) if g]

    def kinds(self) -> list[Kinds]:
        """Return the operations of each branch: convolutions, poolings with the identities, each state's reduces.

        An operation is the position of its state in `places`, and its column.
        """
        columns, states = self.columns, range(len(self.places))

        def of_states(some: Iterable[int]) -> Kinds:
            return [(state, column) for state in states for column in some]

        skips = of_states([] if columns.skip is None else [columns.skip])
        convolutions = of_states(columns.separable) + of_states(columns.dilated)
        if self.stride == 1:
            return [convolutions, of_states(columns.pools) + skips]
        return [convolutions, of_states(columns.pools), *([skip] for skip in skips)]


def sources_of(
    edges: Sequence[Any], nodes: int, columns: Sequence[Columns], *, reduction: bool, join_inputs: bool
) -> list[SourceModules]:
    """Collect the modules of all sources: both inputs and all nodes but the last.

    A source whose edges have different operations appears once for each run of successive nodes with the same ones.
    edges: ordered by node, each with its operations in `_ops`. columns: of each edge. join_inputs: make one source of
    the inputs, if all their edges have the same operations.
    """
    # Node i has 2 + i edges, the first of which has index i * (i + 3) / 2.
    numbers = [
        [(node, (node * (node + 3) // 2 + place,)) for node in range(max(0, place - 1), nodes)]
        for place in range(nodes + 1)
    ]
    places: list[tuple[int, ...]] = [(place,) for place in range(nodes + 1)]
    of_inputs = [edge for of_place in numbers[:2] for _, (edge,) in of_place]
    if join_inputs and len({columns[edge] for edge in of_inputs}) == 1:
        places[:2] = [(0, 1)]
        numbers[:2] = [[(node, older + newer) for (node, older), (_, newer) in zip(*numbers[:2], strict=True)]]
    found = []
    for place, of_place in zip(places, numbers, strict=True):
        for of_run, run in itertools.groupby(of_place, lambda pair: columns[pair[1][0]]):
            (first_node, _), *_ = together = list(run)
            found.append(
                _source(edges, of_run, place, first_node, [edges for _, edges in together], reduction=reduction)
            )
    return found


def _source(
    edges: Sequence[Any],
    columns: Columns,
    places: tuple[int, ...],
    first_node: int,
    numbers: list[tuple[int, ...]],
    *,
    reduction: bool,
) -> SourceModules:
    source = SourceModules(places, columns, numbers, first_node, 2 if reduction and places[0] < 2 else 1)

    def operations(kind: tuple[int, int]) -> list[Any]:
        state, column = kind
        return [edges[of_node[state]]._ops[column] for of_node in numbers]

    def parts(kinds: Kinds, index: int) -> list[list[Any]]:
        return [[operation.op[index] for operation in operations(kind)] for kind in kinds]

    convolutions, maps, *reduces = source.kinds()
    separable = [kind for kind in convolutions if kind[1] in columns.separable]
    dilated = convolutions[len(separable) :]
    pools = [kind for kind in maps if kind[1] in columns.pools]
    source.first, source.outer, source.dilated = parts(separable, 1), parts(separable, 5), parts(dilated, 1)
    source.inner, source.inner_norms = _by_edge(parts(separable, 2)), _by_edge(parts(separable, 3))
    source.last = _by_edge(parts(separable, 6) + parts(dilated, 2))
    source.last_norms = _by_edge(parts(separable, 7) + parts(dilated, 3))
    source.pool_norms = _by_edge([[operation[1] for operation in operations(kind)] for kind in pools])
    for (kind,) in reduces:
        skips = operations(kind)
        source.reduces.append([half for skip in skips for half in (skip.conv_1, skip.conv_2)])
        source.reduce_norms.append([skip.bn for skip in skips])
    return source


def _by_edge(of_columns: list[list[Any]]) -> list[Any]:
    return [of_column[edge] for edge in range(len(of_columns[0])) for of_column in of_columns] if of_columns else []


def weights_of(convolutions: Convolutions) -> list[Tensor]:
    """Return the current weights."""
    # A step reads thousands of weights, and attribute access of `nn.Module` is slow.
    return [convolution._parameters["weight"] for convolution in convolutions]  # type: ignore[misc]


def statistics(norms: Norms, edges: int) -> tuple[Tensor, Tensor]:
    """Return the running means and variances, (E, K, C)."""
    means, variances = (stacked(_buffers(norms, name)) for name in ("running_mean", "running_var"))
    return means.view(edges, -1, means.shape[-1]), variances.view(edges, -1, variances.shape[-1])


@torch.no_grad()
def update_statistics(found: Sequence[Statistics]) -> None:
    """Update the running statistics as in training. All found are over as many pixels."""
    if not found or not gpu.serves(found[0].mean) or not _track_together(found):
        for one in found:
            _update(*one)


def _track_together(found: Sequence[Statistics]) -> bool:
    """Update the running statistics of all norms in one kernel, if they have a common storage."""
    norms = [norm for one in found for norm in one.norms]
    means, variances, counts = (side_by_side(_buffers(norms, name)) for name in _STATISTICS)
    if means is None or variances is None or counts is None:
        return False
    from darts_core.kernels.gpu.statistics import track

    by_edge = [one.mean.unbind() for one in found] + [one.variance.unbind() for one in found]
    mean, variance = torch.cat(list(itertools.chain.from_iterable(by_edge))).view(2, len(norms), -1)
    momentum, pixels = norms[0].momentum, found[0].pixels
    assert momentum is not None
    unbiased = pixels / (pixels - 1)
    if isinstance(unbiased, Tensor):
        variance, unbiased = variance * unbiased, 1.0
    track((means, variances, counts), mean, variance, momentum, unbiased)
    return True


def _update(norms: Norms, mean: Tensor, variance: Tensor, pixels: int | Tensor) -> None:
    momentum, rows = norms[0].momentum, (len(norms), -1)
    assert momentum is not None
    variance = variance * (pixels / (pixels - 1))
    _move(_buffers(norms, "running_mean"), mean.reshape(rows), momentum)
    _move(_buffers(norms, "running_var"), variance.reshape(rows), momentum)
    tracked = _buffers(norms, "num_batches_tracked")
    together = side_by_side(tracked)
    if together is not None:
        together += 1
    else:
        torch._foreach_add_(tracked, 1)


def share_storage(norms: Norms) -> None:
    """Move the running statistics to a common storage."""
    for name in _STATISTICS:
        for norm, view in zip(norms, torch.stack(_buffers(norms, name)).unbind(), strict=True):
            norm._buffers[name] = view


def _buffers(norms: Norms, name: str) -> list[Tensor]:
    return [norm._buffers[name] for norm in norms]  # type: ignore[misc]


def _move(running: list[Tensor], towards: Tensor, momentum: float) -> None:
    together = side_by_side(running)
    if together is not None:
        together.lerp_(towards.to(together.dtype), momentum)
    else:
        torch._foreach_lerp_(running, list(towards.to(running[0].dtype).unbind()), momentum)
