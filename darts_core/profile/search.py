"""Computes the cost of a supernet. Imports no torch.

Mirrors darts_core/models/supernet.py; tests check that the numbers agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from darts_core.models.layout import reduction_layers
from darts_core.profile.costs import Chain, Cost, Map, newer_input, older_input, operation
from darts_core.profile.network import stems
from darts_core.profile.shapes import Shape


def search_cost(primitives: Sequence[str], nodes: int, shape: Shape, *, fused: bool = False, partial: int = 1) -> Cost:
    """Cost of a supernet with all these primitives on each edge, without the few alphas.

    fused: count the tensors that fused cells keep for the backward pass (`darts_core.models.fused`). partial: K, if the
    operations see one of K channels.
    """
    older, newer, total, after_reduction = stems(shape)
    reductions = reduction_layers(shape.layers, shape.reductions)
    channels = shape.channels
    for layer in range(shape.layers):
        reduction = layer in reductions
        if reduction:
            channels *= 2
        out, cost = _cell(
            primitives,
            nodes,
            older,
            newer,
            channels,
            reduction=reduction,
            after_reduction=after_reduction,
            fused=fused,
            partial=partial,
        )
        total += cost
        older, newer, after_reduction = newer, out, reduction
    return total + Chain(newer).global_pool().linear(shape.classes).cost


def _cell(
    primitives: Sequence[str],
    nodes: int,
    older: Map,
    newer: Map,
    channels: int,
    *,
    reduction: bool,
    after_reduction: bool,
    fused: bool,
    partial: int,
) -> tuple[Map, Cost]:
    inputs = [Chain(older), Chain(newer)]
    older_input(inputs[0], channels, after_reduction=after_reduction, affine=False)
    newer_input(inputs[1], channels, affine=False)
    states = [chain.map for chain in inputs]
    taken_in = cost = inputs[0].cost + inputs[1].cost
    kept_states = set()
    for _ in range(nodes):
        for source, state in enumerate(states):
            for name in primitives:
                chain = Chain(_part(state, partial))
                operation(name, chain, 2 if reduction and source < 2 else 1, search=True)
                chain.keep()  # the alpha's gradient needs the output of each operation
                # weighted, then added
                cost += chain.cost + Cost(activations=2 * chain.map.size)
                if chain.keeps_start:
                    kept_states.add(source)
            # The bypassing channels are weighted and joined with the mixed ones.
            cost += Cost(activations=0 if partial == 1 else 2 * chain.map.size * partial)
        states = [*states, Map(channels, chain.map.height, chain.map.width)]
    out = Map(nodes * channels, chain.map.height, chain.map.width)
    if fused:
        kept = (
            taken_in.kept + sum(state.size for state in states) + _fused_kept(primitives, nodes, chain.map, reduction)
        )
        return out, replace(cost + Cost(activations=out.size), kept=kept)
    return out, cost + Cost(activations=out.size, kept=sum(states[source].size for source in kept_states))


def _part(state: Map, partial: int) -> Map:
    return Map(state.channels // partial, state.height, state.width)


def _fused_kept(primitives: Sequence[str], nodes: int, node: Map, reduction: bool) -> int:
    """Elements kept besides the states. node: the map of one node."""
    separable = sum(name.startswith("sep_conv") for name in primitives)
    dilated = sum(name.startswith("dil_conv") for name in primitives)
    pools = sum("pool" in name for name in primitives)
    total = 0
    for source in range(nodes + 1):
        edges = nodes - max(0, source - 1)
        skips = 0
        if "skip_connect" in primitives:
            skips = 2 if reduction and source < 2 else 1  # two grids in a reduction cell, else the state once more
        total += edges * (3 * separable + dilated) + pools + skips
    return total * node.size
