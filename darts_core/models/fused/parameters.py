"""Collects filters, matrices and statistics from a cell's modules, by source state.

The modules, parameters, buffers and `state_dict` keys are those of the plain cell; only the grouping differs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn

from darts_core.kernels import gpu
from darts_core.models.fused.columns import Columns
from darts_core.models.fused.stacking import side_by_side, stacked

_STATISTICS: Final = ("running_mean", "running_var", "num_batches_tracked")

Convolutions = list[nn.Conv2d]
Norms = list[nn.BatchNorm2d]


@dataclass
class SourceModules:
    """Edges that leave one source state of a cell, and their modules in groups that are computed together.

    These edges enter successive nodes and have the same operations. Groups are ordered by edge, and within an edge as
    in `Columns`. place: the number of the state.
    """

    place: int
    columns: Columns
    edges: list[int]
    first_node: int
    stride: int
    first: list[Convolutions] = field(default_factory=list)
    inner: Convolutions = field(default_factory=list)
    outer: list[Convolutions] = field(default_factory=list)
    dilated: list[Convolutions] = field(default_factory=list)
    last: Convolutions = field(default_factory=list)
    reduce: Convolutions = field(default_factory=list)
    inner_norms: Norms = field(default_factory=list)
    last_norms: Norms = field(default_factory=list)
    pool_norms: Norms = field(default_factory=list)
    reduce_norms: Norms = field(default_factory=list)

    def groups(self) -> list[Convolutions]:
        """Return the non-empty groups of convolutions."""
        return [g for g in (*self.first, self.inner, *self.outer, *self.dilated, self.last, self.reduce) if g]

    def norm_groups(self) -> list[Norms]:
        """Return the non-empty groups of BatchNorms."""
        return [g for g in (self.inner_norms, self.last_norms, self.pool_norms, self.reduce_norms) if g]


def sources_of(edges: Sequence[Any], nodes: int, columns: Sequence[Columns], *, reduction: bool) -> list[SourceModules]:
    """Collect the modules of all sources: both inputs and all nodes but the last.

    A source whose edges have different operations appears once for each run of successive nodes with the same ones.
    edges: ordered by node, each with its operations in `_ops`. columns: of each edge.
    """
    found = []
    for place in range(nodes + 1):
        # Node i has 2 + i edges, the first of which has index i * (i + 3) / 2.
        numbers = [(node, node * (node + 3) // 2 + place) for node in range(max(0, place - 1), nodes)]
        for of_run, run in itertools.groupby(numbers, lambda pair: columns[pair[1]]):
            (first_node, _), *_ = together = list(run)
            found.append(
                _source(edges, of_run, place, first_node, [number for _, number in together], reduction=reduction)
            )
    return found


def _source(
    edges: Sequence[Any], columns: Columns, place: int, first_node: int, numbers: list[int], *, reduction: bool
) -> SourceModules:
    operations = [edges[number]._ops for number in numbers]

    def parts(column: int, index: int) -> list[Any]:
        return [ops[column].op[index] for ops in operations]

    separable, dilated = columns.separable, columns.dilated
    source = SourceModules(
        place,
        columns,
        numbers,
        first_node,
        2 if reduction and place < 2 else 1,
        first=[parts(c, 1) for c in separable],
        inner=_by_edge([parts(c, 2) for c in separable]),
        outer=[parts(c, 5) for c in separable],
        dilated=[parts(c, 1) for c in dilated],
        last=_by_edge([parts(c, 6) for c in separable] + [parts(c, 2) for c in dilated]),
        inner_norms=_by_edge([parts(c, 3) for c in separable]),
        last_norms=_by_edge([parts(c, 7) for c in separable] + [parts(c, 3) for c in dilated]),
        pool_norms=_by_edge([[ops[c][1] for ops in operations] for c in columns.pools]),
    )
    if columns.skip is not None and source.stride == 2:
        skips = [ops[columns.skip] for ops in operations]
        source.reduce = [half for skip in skips for half in (skip.conv_1, skip.conv_2)]
        source.reduce_norms = [skip.bn for skip in skips]
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
def update_statistics(norms: Norms, mean: Tensor, variance: Tensor, pixels: int | Tensor) -> None:
    """Update the running statistics as in training. mean, variance (biased): (E, K, C).

    pixels: per channel; a scalar on the device if only that knows their number.
    """
    momentum, rows = norms[0].momentum, (len(norms), -1)
    assert momentum is not None
    unbiased = pixels / (pixels - 1)
    if isinstance(unbiased, Tensor):
        variance, unbiased = variance * unbiased, 1.0
    if gpu.serves(mean):
        means, variances, counts = (side_by_side(_buffers(norms, name)) for name in _STATISTICS)
        if means is not None and variances is not None and counts is not None:
            from darts_core.kernels.gpu.statistics import track

            running = (means, variances, counts)
            track(running, mean.reshape(rows), variance.reshape(rows), momentum, unbiased)
            return
    _move(_buffers(norms, "running_mean"), mean.reshape(rows), momentum)
    _move(_buffers(norms, "running_var"), (variance * unbiased).reshape(rows), momentum)
    tracked = _buffers(norms, "num_batches_tracked")
    together = side_by_side(tracked)
    if together is not None:
        together += 1
    else:
        torch._foreach_add_(tracked, 1)


def share_storage(norms: Norms) -> None:
    """Move the running statistics of a group to a common storage."""
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
