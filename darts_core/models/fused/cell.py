"""Computes a cell of the supernet source by source.

All edges that leave a state read the same map, so that a cell has one source per state. `branches` computes all edges
of a source and adds them to their nodes. ReLUs, poolings and their BatchNorms are computed once per source, and no map
between a pointwise convolution, its BatchNorm and its alpha is stored (`algebra`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from darts_core.distributed.batch_sums import BatchSums
from darts_core.distributed.group import ALONE
from darts_core.models.fused.backend import Convolved, Filters, Mixed
from darts_core.models.fused.branches import (
    Branch,
    ConvolutionBranch,
    PoolBranch,
    ReduceBranch,
    Setting,
    Towards,
    Weights,
    matrices_type,
)
from darts_core.models.fused.bypass import Bypass
from darts_core.models.fused.parameters import Statistics, update_statistics, weights_of
from darts_core.models.fused.stacking import stacked


@dataclass
class Plan:
    """One pass through a cell: its sources' settings, and the batch statistics that the pass found."""

    nodes: int
    order: Tensor  # indices into w, ordered by source, branch, edge and kind of operation, without `none`
    settings: list[Setting]
    found: list[Statistics]
    keep: bool  # whether to save activations for a backward pass
    partial: int = 1  # K, if the operations see one of K channels (`darts_core.models.partial`)
    path_factors: Tensor | None = None  # (N, edges), of each sample's edges

    def factors_of(self, setting: Setting, like: Tensor) -> Tensor | None:
        """The path factors of a source's edges, (N, E, 1, 1, 1)."""
        if self.path_factors is None:
            return None
        by_edge = self.path_factors.unbind(1)
        factors = torch.stack([by_edge[edge] for (edge,) in setting.modules.edges], 1)
        return factors[..., None, None, None].to(like.dtype)

    @property
    def begins_with_all_nodes(self) -> bool:
        """Whether the first source gives all nodes their first maps, so that they need no zeros."""
        first = self.settings[0].modules
        return len(first.edges) == self.nodes and self.path_factors is None and self.partial == 1

    def counts(self) -> list[int]:
        """Return the number of entries of `order` per source."""
        modules = [setting.modules for setting in self.settings]
        return [len(source.edges) * sum(map(len, source.kinds())) for source in modules]

    def parameters(self) -> list[Tensor]:
        """Return the parameters of all sources, group by group."""
        return [p for setting in self.settings for group in setting.modules.groups() for p in weights_of(group)]


def compute(
    plan: Plan,
    older: Tensor,
    newer: Tensor,
    w: Tensor,
    edge_weights: Tensor | None = None,
    beside: Sequence[Tensor] | None = None,
    *,
    track: bool,
) -> Tensor:
    """Map a cell's two preprocessed inputs (N, C, H, W) to its output (N, nodes * C, H', W').

    w: (edges, primitives). edge_weights: (edges,), of the channels that bypass the operations; 1 by default.
    beside: maps (N, C, H', W') that are added to the nodes, one for each; not with partial channels.
    track: update the BatchNorms' running statistics, if they use batch statistics.
    """
    # Autocast would compute sums in half precision too.
    with torch.autocast(older.device.type, enabled=False):
        start = None if beside is None else torch.cat(list(beside), dim=1)
        out: Tensor = _Cell.apply(plan, older, newer, w, edge_weights, start, *plan.parameters())
    if track:
        update_statistics(plan.found)
    return out


class _Cell(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        plan: Plan,
        older: Tensor,
        newer: Tensor,
        w: Tensor,
        edge_weights: Tensor | None,
        start: Tensor | None,
        *parameters: Tensor,
    ) -> Tensor:
        stride = plan.settings[0].modules.stride
        batch, channels, height, width = older.shape
        rows, columns = -(-height // stride), -(-width // stride)
        pixels = batch * rows * columns
        if plan.settings[0].batch_statistics and pixels * plan.settings[0].group.size < 2:
            raise ValueError(
                f"BatchNorm needs more than 1 value a channel in training, and gets images of {tuple(older.shape)}"
            )
        layout = plan.settings[0].backend.layout
        seen = channels // plan.partial
        shape = (batch, plan.nodes * seen, rows, columns)
        # A node sums many maps, which bf16 would round one by one.
        out = torch.empty(shape, dtype=matrices_type(older), device=older.device, memory_format=layout)
        if start is not None:
            out.copy_(start)
        elif not plan.begins_with_all_nodes:
            out.zero_()
        nodes = out.view(batch, plan.nodes, seen, rows, columns)
        aside = Bypass(plan, older, newer, edge_weights, nodes) if plan.partial > 1 else None
        states = [*(x.detach().contiguous(memory_format=layout) for x in (older, newer)), *nodes.unbind(1)]
        alphas = w.detach().flatten().index_select(0, plan.order)
        if plan.settings[0].backend.exact_alphas:
            alphas = alphas.double()
        by_source = torch.split(alphas, plan.counts())
        sources: list[_Source | None] = []
        rest = list(parameters)
        read: list[Tensor] = []
        last: tuple[int, ...] = ()
        for setting, mine in zip(plan.settings, by_source, strict=True):
            modules = setting.modules
            to = nodes[:, modules.first_node : modules.first_node + len(modules.edges)]
            if modules.places != last:
                last = modules.places
                seen_states = [states[p].to(older.dtype) if aside is None else aside.state(p) for p in last]
                read = _readable(seen_states, layout)
            add = bool(sources) or start is not None or not plan.begins_with_all_nodes
            source = _Source(setting, rest, read, mine, to, plan.factors_of(setting, to), add=add)
            plan.found += source.statistics()
            sources.append(source if plan.keep else None)
        ctx.backend = plan.settings[0].backend
        ctx.sources, ctx.order, ctx.shape, ctx.type, ctx.layout = sources, plan.order, w.shape, w.dtype, layout
        ctx.aside, ctx.partial, ctx.nodes = aside if plan.keep else None, plan.partial, plan.nodes
        if aside is not None:
            return aside.output().to(older.dtype)
        # Detached, to avoid a reference cycle of context and output. Contiguous, since torch's BatchNorm in the next
        # cells is slower and several times less exact on channels-last maps.
        return out.to(older.dtype).detach().contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast(gradient.device.type, enabled=False):
            return _Cell._backward(ctx, gradient)

    @staticmethod
    def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.sources is None:
            raise RuntimeError("a fused cell can be gone back through once: retain_graph is not for it")
        sources: list[_Source | None] = ctx.sources
        aside: Bypass | None = ctx.aside
        ctx.sources = ctx.aside = None
        nodes: int = ctx.nodes
        if aside is None:
            # A copy, to which the gradients of later states are added.
            g = gradient.clone(memory_format=ctx.layout).view(len(gradient), nodes, -1, *gradient.shape[2:])
        else:
            g = aside.begin_backward(gradient, ctx.layout)
        factors: list[Tensor] = []
        wanted = ctx.needs_input_grad
        weights = any(wanted[6:])
        inputs: list[Tensor | None] = [None, None]
        stacks: list[Tensor] = []
        shapes: list[torch.Size] = []
        before: list[Tensor] = []
        while sources:
            # Removed, to free its memory for the next source.
            source = sources.pop()
            assert source is not None
            places = source.places
            towards, factor, gradients = source.backward(g[:, source.nodes], weights=weights)
            stacks[:0], shapes[:0] = gradients, source.shapes
            factors[:0] = factor
            for of, already in zip(towards, before, strict=False):
                of.add_(already)
            if sources and sources[-1] is not None and sources[-1].places == places:
                before = towards  # the same state has more edges
                continue
            before = []
            for place, towards_s in reversed(list(zip(places, towards, strict=True))):
                if aside is not None:
                    through = aside.backward(place, towards_s)
                    if place < 2 and wanted[1 + place]:
                        inputs[place] = through
                elif place >= 2:
                    g[:, place - 2].add_(towards_s)
                elif wanted[1 + place]:
                    inputs[place] = towards_s
        flat = [
            gradient
            for stack, shape in zip(ctx.backend.whole(stacks), shapes if weights else [], strict=True)
            for gradient in stack.reshape(-1, *shape).unbind()
        ]
        none: Sequence[Tensor | None] = [None] * (len(wanted) - 6)
        towards_w = torch.zeros(ctx.shape, dtype=ctx.type, device=g.device)
        towards_w.view(-1).index_copy_(0, ctx.order, torch.cat(factors).to(ctx.type))
        towards_edges = None if aside is None else aside.towards_edges()
        # Complete: all later states have added theirs.
        towards_start = g.flatten(1, 2).to(gradient.dtype) if wanted[5] else None
        return None, *inputs, towards_w, towards_edges, towards_start, *(flat if weights else none)


class _Source:
    """All branches of one source."""

    def __init__(
        self,
        setting: Setting,
        parameters: list[Tensor],
        states: list[Tensor],
        w: Tensor,
        out: Tensor,
        path_factors: Tensor | None = None,
        *,
        add: bool,
    ) -> None:
        """Adds the maps to out (N, E, C, H, W), times the path factors (N, E, 1, 1, 1). Removes its parameters from the
        front of the list. w: of its branches, one after the other, by edge. add: whether `out` has maps already.
        """
        self._path_factors = path_factors
        if path_factors is not None:
            total, out = out, _empty_like(out, setting.backend.layout).zero_()
        self.shapes = []
        groups = []
        for group in setting.modules.groups():
            taken = parameters[: len(group)]
            del parameters[: len(group)]
            self.shapes.append(taken[0].shape)
            groups.append(stacked(taken))
        modules = setting.modules
        first, edges = modules.first_node, len(modules.edges)
        self.places, self.nodes = modules.places, slice(first, first + edges)
        weights = _weights(setting, groups, edges, out.shape[2])
        counts = [edges * len(kinds) for kinds in modules.kinds()]
        of_convolutions, of_maps, *of_reduces = (part.view(edges, -1) for part in torch.split(w, counts))
        pixels = out.shape[0] * out.shape[3] * out.shape[4]
        # Without BatchNorm over the batch, ranks have nothing to exchange.
        normalises = setting.batch_statistics and bool(modules.norm_groups())
        self._batch = batch = BatchSums(pixels, setting.group if normalises else ALONE)
        self._backend = setting.backend
        self._states = len(states)
        self._convolutions: ConvolutionBranch | None = None
        self._pools: PoolBranch | None = None
        if of_convolutions.numel():
            self._convolutions = ConvolutionBranch(setting, weights, states, of_convolutions, batch)
        if of_maps.numel():
            self._pools = PoolBranch(setting, states, of_maps, batch)
        self._reduces = [
            ReduceBranch(setting, number, weight, states, mine, batch)
            for number, (weight, mine) in enumerate(zip(weights.reduces, of_reduces, strict=True))
        ]
        branches = self._branches
        sums = iter(batch([of for branch in branches for of in branch.sums]))
        for branch in branches:
            branch.fold([next(sums) for _ in branch.sums])
            branch.sums = []
        self._gather(out, add=add)
        self._found = (
            [found for branch in branches for found in branch.statistics()] if setting.batch_statistics else []
        )
        if path_factors is not None:
            total.addcmul_(out, path_factors)

    @property
    def _branches(self) -> list[Branch]:
        branches: list[Branch | None] = [self._convolutions, self._pools, *self._reduces]
        return [branch for branch in branches if branch is not None]

    def _maps(self) -> tuple[Convolved | None, Mixed | None]:
        convolutions, pools = self._convolutions, self._pools
        return None if convolutions is None else convolutions.convolved, None if pools is None else pools.mixed

    def _gather(self, out: Tensor, *, add: bool) -> None:
        self._backend.gather(*self._maps(), out, add=add)
        for reduces in self._reduces:
            reduces.add(out)
        if not self._backend.adds_biases:
            first, *rest = (branch.bias() for branch in self._branches)
            out += sum(rest, first).to(out.dtype)[..., None, None]

    def statistics(self) -> list[Statistics]:
        """Return the batch statistics; empty with running statistics."""
        return self._found

    def backward(self, g: Tensor, *, weights: bool) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Return the gradients of the states, of the parts of w and, if `weights`, of each group of parameters; with
        several ranks w's and the parameters' are this rank's part, as in `BatchSums`.
        """
        if self._path_factors is not None:
            g = (g * self._path_factors).to(g.dtype)
        convolved, mixed = self._maps()
        total, products = self._backend.products(
            g, None if convolved is None else convolved.v, None if mixed is None else mixed.pooled
        )
        products += [reduces.products(g) for reduces in self._reduces]
        if total is None:
            total = g.sum((3, 4), dtype=matrices_type(g)).sum(0, dtype=torch.float64)
        total, *products = self._batch([total, *products])
        towards: Towards = [None] * self._states
        factors: list[Tensor] = []
        stacks: list[Tensor] = []
        for branch, mine in zip(self._branches, products, strict=True):
            towards, factor, found = branch.backward(g, total, mine, towards, weights=weights)
            factors.append(factor.flatten())
            stacks += found
        return [of for of in towards if of is not None], factors, stacks


def _readable(states: list[Tensor], layout: torch.memory_format) -> list[Tensor]:
    """Return the states (N, C, H, W), dense within an image, with the same strides."""
    alike = len({state.stride() for state in states}) == 1
    if alike and layout == torch.contiguous_format and states[0][0].is_contiguous():
        return states
    return [state.contiguous(memory_format=layout) for state in states]


def _empty_like(maps: Tensor, layout: torch.memory_format) -> Tensor:
    """An uninitialised tensor for (N, E, C, H, W) whose maps (N, E * C, H, W) have this layout."""
    batch, edges, channels, rows, columns = maps.shape
    shape = (batch, edges * channels, rows, columns)
    return torch.empty(shape, dtype=maps.dtype, device=maps.device, memory_format=layout).view(maps.shape)


def _weights(setting: Setting, groups: list[Tensor], edges: int, channels: int) -> Weights:
    """Reshape the groups, (parameters, numel) each, to filters and matrices."""
    rest = iter(groups)
    modules = setting.modules

    def filters(count: int) -> list[Tensor]:
        stacks = [next(rest) for _ in range(count)]
        return [stack.view(edges, channels, *[round((stack.shape[1] / channels) ** 0.5)] * 2) for stack in stacks]

    def matrices(some: Sequence[Any], rows: int) -> Tensor | None:
        return next(rest).view(edges, -1, rows, channels) if some else None

    first = filters(len(modules.first))
    inner = matrices(modules.inner, channels)
    outer = filters(len(modules.outer))
    dilated = filters(len(modules.dilated))
    last = matrices(modules.last, channels)
    reduces = [next(rest).view(edges, -1, channels // 2, channels) for _ in modules.reduces]
    return Weights(Filters(first, outer, dilated, modules.stride), inner, last, reduces)
