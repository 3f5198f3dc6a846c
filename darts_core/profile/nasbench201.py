"""Computes the cost of NAS-Bench-201's networks. Imports no torch.

Mirrors darts_core/models/nasbench201_network.py and nasbench201_supernet.py; tests check that the numbers agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from darts_core.configs.nasbench201 import nasbench201_problems
from darts_core.errors import ConfigError
from darts_core.genotypes.nasbench201 import SOURCES, NasBench201Genotype
from darts_core.profile.costs import Chain, Cost, Map, operation
from darts_core.profile.network import CellProfile, Profile, cell_profile
from darts_core.profile.shapes import Shape
from darts_core.spaces.nasbench201 import CELL, NODES, STAGES

_Cell = Callable[[Map], Cost]


def profile_nasbench201(genotype: NasBench201Genotype, shape: Shape) -> Profile:
    """Profile the network of a cell. Raises ConfigError for a shape that it cannot have."""
    operations = [(op,) for op, _ in genotype.cell]
    return _profile(lambda state: _cell(operations, state), shape)


def nasbench201_search_cost(primitives: Sequence[str], shape: Shape, *, partial: int = 1) -> Cost:
    """Cost of the supernet with all these primitives on each edge, without the few alphas. partial: K, if the
    operations see one of K channels.
    """
    operations = [tuple(primitives)] * len(SOURCES)
    found = _profile(lambda state: _cell(operations, state, search=True, partial=partial), shape)
    return Cost(found.parameters, found.multiply_adds, found.activation_bytes // 4, found.training_bytes // 4)


def _profile(cell: _Cell, shape: Shape) -> Profile:
    sizes = {"layers": shape.layers, "stem": shape.stem, "reductions": shape.reductions}
    if problems := nasbench201_problems(sizes):
        raise ConfigError(problems)
    images = Chain(Map(shape.image_channels, shape.image, shape.width or shape.image))
    batch = Cost(kept=images.map.size)  # the first convolution keeps the images themselves
    images.convolution(shape.channels, (3, 3)).norm()
    stem, state, total = images.cost + batch, images.map, images.cost + batch
    parts: list[CellProfile] = []
    for stage in range(STAGES):
        if stage:
            state, cost = _block(state)
            parts.append(cell_profile(len(parts), "block", state, cost))
            total += cost
        for _ in range(shape.layers // STAGES):
            cost = cell(state)
            parts.append(cell_profile(len(parts), CELL, state, cost))
            total += cost
    classifier = Chain(state).norm().relu().global_pool().linear(shape.classes).cost
    total += classifier
    return Profile(
        parameters=total.parameters,
        parameters_with_auxiliary=total.parameters,
        multiply_adds=total.multiply_adds,
        activation_bytes=total.activation_bytes,
        training_bytes=total.training_bytes,
        stem=stem,
        cells=tuple(parts),
        classifier=classifier,
    )


def _cell(edges: Sequence[Sequence[str]], state: Map, *, search: bool = False, partial: int = 1) -> Cost:
    cost, kept_states, rows = Cost(), set(), iter(zip(edges, SOURCES, strict=True))
    seen = Map(state.channels // partial, state.height, state.width)
    for node in range(1, NODES + 1):
        for _ in range(node):
            names, source = next(rows)
            for name in names:
                chain = Chain(seen)
                # Unlike in DARTS' space, no BatchNorm follows the pooling in the search.
                operation(name, chain, 1, search=search and name != "avg_pool_3x3")
                if search:
                    chain.keep()  # the alpha's gradient needs the output of each operation
                    # weighted, then added
                    cost += Cost(activations=2 * chain.map.size)
                cost += chain.cost
                if chain.keeps_start:
                    kept_states.add(source)
            # The bypassing channels are weighted and joined with the mixed ones.
            cost += Cost(activations=0 if partial == 1 else 2 * state.size)
        cost += Cost(activations=0 if search else state.size)  # the sum of the edges
    return cost + Cost(kept=len(kept_states) * state.size)


def _block(state: Map) -> tuple[Map, Cost]:
    """The residual block between two stages."""
    channels = 2 * state.channels
    main = Chain(state).relu().convolution(channels, (3, 3), (2, 2)).norm().relu().convolution(channels, (3, 3)).norm()
    shortcut = Chain(state).pool(2).pointwise(channels)
    return main.map, main.cost + shortcut.cost + Cost(activations=main.map.size, kept=state.size)
