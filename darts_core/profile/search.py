"""Computes the cost of a supernet. Imports no torch.

Mirrors darts_core/models/supernet.py; tests check that the numbers agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from darts_core.models.layout import reduction_layers
from darts_core.primitives import EdgeLists, edges_of
from darts_core.profile.costs import Chain, Cost, Map, newer_input, older_input, operation
from darts_core.profile.network import stems
from darts_core.profile.shapes import Shape


def search_cost(
    primitives: Sequence[str],
    nodes: int,
    shape: Shape,
    *,
    fused: bool = False,
    partial: int = 1,
    lists: EdgeLists | None = None,
    outputs: int | None = None,
) -> Cost:
    """Cost of a supernet with all these primitives on each edge, without the few alphas.

    fused: count the tensors that fused cells keep for the backward pass (`darts_core.models.fused`). partial: K, if the
    operations see one of K channels. lists: the operations of each edge, if edges lack some. outputs: number of
    the nodes that the output of a cell concatenates, by default all.
    """
    everything = [primitives] * edges_of(nodes)
    older, newer, total, after_reduction = stems(shape)
    reductions = reduction_layers(shape.layers, shape.reductions)
    channels = shape.channels
    for layer in range(shape.layers):
        reduction = layer in reductions
        if reduction:
            channels *= 2
        out, cost = _cell(
            (lists or {}).get("reduce" if reduction else "normal", everything),
            nodes,
            older,
            newer,
            channels,
            reduction=reduction,
            after_reduction=after_reduction,
            fused=fused,
            partial=partial,
            edge_skips=shape.edge_skips,
            outputs=outputs or nodes,
        )
        total += cost
        older, newer, after_reduction = newer, out, reduction
    return total + Chain(newer).global_pool().linear(shape.classes).cost


def _cell(
    lists: Sequence[Sequence[str]],
    nodes: int,
    older: Map,
    newer: Map,
    channels: int,
    *,
    reduction: bool,
    after_reduction: bool,
    fused: bool,
    partial: int,
    edge_skips: bool,
    outputs: int,
) -> tuple[Map, Cost]:
    inputs = [Chain(older), Chain(newer)]
    older_input(inputs[0], channels, after_reduction=after_reduction, affine=False)
    newer_input(inputs[1], channels, affine=False)
    states = [chain.map for chain in inputs]
    taken_in = cost = inputs[0].cost + inputs[1].cost
    kept_states, beside = set(), 0
    for node in range(nodes):
        for source, state in enumerate(states):
            for name in lists[edges_of(node) + source]:
                chain = Chain(_part(state, partial))
                operation(name, chain, 2 if reduction and source < 2 else 1, search=True)
                chain.keep()  # the alpha's gradient needs the output of each operation
                # weighted, then added
                cost += chain.cost + Cost(activations=2 * chain.map.size)
                if chain.keeps_start:
                    kept_states.add(source)
            if edge_skips:
                skip = Chain(_part(state, partial))
                operation("skip_connect", skip, 2 if reduction and source < 2 else 1, search=True)
                cost += skip.cost + Cost(activations=skip.map.size)
                beside += skip.cost.kept
                if skip.keeps_start:
                    kept_states.add(source)
            # The bypassing channels are weighted and joined with the mixed ones.
            cost += Cost(activations=0 if partial == 1 else 2 * chain.map.size * partial)
        states = [*states, Map(channels, chain.map.height, chain.map.width)]
    out = Map(outputs * channels, chain.map.height, chain.map.width)
    if fused:
        kept = taken_in.kept + sum(state.size for state in states) + beside
        kept += _fused_kept(lists, nodes, chain.map, reduction)
        return out, replace(cost + Cost(activations=out.size), kept=kept)
    return out, cost + Cost(activations=out.size, kept=sum(states[source].size for source in kept_states))


def costliest(primitives: Sequence[str], count: int) -> list[str]:
    """The primitives of a supernet's edge that keep most for the backward pass, at most so many, in their order."""

    def kept(name: str) -> int:
        chain = Chain(Map(2, 2, 2))
        operation(name, chain, 1, search=True)
        return chain.cost.kept

    found = sorted(primitives, key=kept, reverse=True)[:count]
    return [name for name in primitives if name in found]


def _part(state: Map, partial: int) -> Map:
    return Map(state.channels // partial, state.height, state.width)


def _fused_kept(lists: Sequence[Sequence[str]], nodes: int, node: Map, reduction: bool) -> int:
    """Elements kept besides the states. node: the map of one node."""
    total = 0
    for source in range(nodes + 1):
        of_source = [lists[edges_of(to) + source] for to in range(max(0, source - 1), nodes)]
        # Edges to successive nodes that have the same operations are computed together.
        for names in (names for place, names in enumerate(of_source) if not place or names != of_source[place - 1]):
            total += sum("pool" in name for name in names)
            if "skip_connect" in names:
                total += 2 if reduction and source < 2 else 1  # two grids in a reduction cell, else the state once more
        for names in of_source:
            total += 3 * sum(name.startswith("sep_conv") for name in names)
            total += sum(name.startswith("dil_conv") for name in names)
    return total * node.size
