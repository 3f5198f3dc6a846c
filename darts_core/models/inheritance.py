"""Finds the weights of a retrained network in the supernet that its cell is of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from darts_core.configs import EvaluationConfig
from darts_core.genotypes import NasBench201Genotype
from darts_core.genotypes.places import places_of
from darts_core.models.layout import reduction_layers
from darts_core.spaces.nasbench201 import CELL, STAGES

_EDGES: Final = frozenset({"_ops", "layers"})
"""The attributes of a cell that hold the operations of its edges."""


def supernet_names(
    names: Iterable[str], config: EvaluationConfig, search: Mapping[str, Any], weights: Collection[str]
) -> dict[str, str]:
    """For names of the network's parameters those of the supernet's that do the same; none for the others.

    An operation is found by its name and edge. Cells are paired by their places in the stages between reductions, whose
    cells may be fewer in one of the networks: the others have no pair. config: the network's spec, whose cell is of the
    supernet's space. search: the supernet's spec. weights: the names in its state_dict.
    """
    cell = config.cell()
    primitives, places = [*map(str, search["primitives"])], places_of(cell)
    if isinstance(cell, NasBench201Genotype):
        reductions, others = _blocks(config.layers), _blocks(search["layers"])
        cells, count = config.layers + len(reductions), search["layers"] + len(others)
    else:
        cells, count = config.layers, _cells(weights)
        reductions = reduction_layers(cells, config.reductions)
        others = reduction_layers(count, search.get("reductions"))
    pairs = {place: number for number, place in enumerate(_stages(count, others))}
    pair_of = [pairs.get(place) for place in _stages(cells, reductions)]
    found = {}
    for name in names:
        head, *rest = name.split(".")
        if head != "cells":
            found[name] = name
            continue
        number, part, *below = rest
        pair = pair_of[int(number)]
        if pair is None:
            continue
        if part in _EDGES or part == "_skips":
            kind = CELL if CELL in places else "reduce" if int(number) in reductions else "normal"
            op, edge = places[kind][int(below[0])]
            operation = ["skip"] if part == "_skips" else ["_ops", str(primitives.index(op))]
            rest = [str(pair), "_ops", str(edge), *operation, *below[1:]]
        else:
            rest = [str(pair), part, *below]
        found[name] = ".".join(["cells", *rest])
    return found


def _cells(weights: Collection[str]) -> int:
    """The number of a supernet's cells, which a search in stages may have added to."""
    return 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("cells."))


def _blocks(layers: int) -> frozenset[int]:
    """The places of the residual blocks among the cells of NAS-Bench-201's networks."""
    each = layers // STAGES
    return frozenset(stage * (each + 1) - 1 for stage in range(1, STAGES))


def _stages(cells: int, reductions: Collection[int]) -> list[tuple[int, int]]:
    """For each cell its stage, which begins with a reduction, and its place therein."""
    found, stage, place = [], 0, 0
    for cell in range(cells):
        if cell in reductions:
            stage, place = stage + 1, 0
        found.append((stage, place))
        place += 1
    return found
