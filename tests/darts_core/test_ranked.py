"""The n-th best genotype of alphas, against all genotypes that there are."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

import pytest

from darts_core.errors import GenotypeError
from darts_core.genotypes import Edge, Genotype, RecurrentGenotype, derive, derive_recurrent, ranked, softmax

pytestmark = pytest.mark.light

Table = list[list[float]]
PRIMITIVES = ["none", "skip_connect", "sep_conv_3x3"]


def table(seed: int, edges: int, columns: int) -> Table:
    source = random.Random(seed)
    return [[source.gauss(0, 1) for _ in range(columns)] for _ in range(edges)]


def cells(rows: Table, primitives: list[str], kept: int) -> Iterator[tuple[float, tuple[Edge, ...]]]:
    """Every cell of a table with the product of its weights; a node's stronger edge comes first."""
    nodes: list[list[tuple[float, list[Edge]]]] = []
    first = 0
    while first < len(rows):
        inputs = kept + len(nodes)
        node = []
        for sources in itertools.combinations(range(inputs), kept):
            for ops in itertools.product([p for p in primitives if p != "none"], repeat=kept):
                chosen = [
                    (softmax(rows[first + s])[primitives.index(op)], Edge(op, s))
                    for s, op in zip(sources, ops, strict=True)
                ]
                chosen.sort(key=lambda pair: -pair[0])
                node.append((math.prod(w for w, _ in chosen), [edge for _, edge in chosen]))
        nodes.append(node)
        first += inputs
    for choice in itertools.product(*nodes):
        yield math.prod(w for w, _ in choice), tuple(edge for _, edges in choice for edge in edges)


@pytest.mark.parametrize("limit", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_nth_of_all_genotypes_in_the_order_of_their_strength(seed: int, limit: int | None) -> None:
    normal, reduce = table(seed, 5, 3), table(seed + 100, 5, 3)
    everything = sorted(
        (
            (a * b, n, r)
            for (a, n), (b, r) in itertools.product(cells(normal, PRIMITIVES, 2), cells(reduce, PRIMITIVES, 2))
            if limit is None or sum(op == "skip_connect" for op, _ in n) <= limit
        ),
        key=lambda entry: -entry[0],
    )
    alphas = {"normal": normal, "reduce": reduce}
    for rank in range(1, min(100, len(everything)) + 1):
        _, expected_normal, expected_reduce = everything[rank - 1]
        found = ranked(alphas, PRIMITIVES, rank=rank, max_skip_connects=limit)
        assert isinstance(found, Genotype)
        assert (found.normal, found.reduce) == (expected_normal, expected_reduce)
    if len(everything) < 100:
        with pytest.raises(GenotypeError, match="fewer than"):
            ranked(alphas, PRIMITIVES, rank=len(everything) + 1, max_skip_connects=limit)


@pytest.mark.parametrize("seed", range(3))
def test_of_a_recurrent_cell_it_is_the_nth_of_all_as_well(seed: int) -> None:
    rows, primitives = table(seed, 6, 3), ["none", "tanh", "relu"]
    everything = sorted(cells(rows, primitives, 1), key=lambda entry: -entry[0])
    assert len(everything) == 2 * 4 * 6
    for rank, (_, edges) in enumerate(everything, 1):
        found = ranked({"recurrent": rows}, primitives, rank=rank)
        assert isinstance(found, RecurrentGenotype)
        assert (found.recurrent, found.concat) == (edges, (1, 2, 3))
    with pytest.raises(GenotypeError, match="fewer than 49"):
        ranked({"recurrent": rows}, primitives, rank=49)
    with pytest.raises(GenotypeError, match="no skip-connections"):
        ranked({"recurrent": rows}, primitives, max_skip_connects=2)


@pytest.mark.parametrize("seed", range(20))
def test_the_first_is_the_derived_cell_and_a_limit_that_it_keeps_changes_nothing(seed: int) -> None:
    primitives = ["none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3"]
    normal, reduce = table(seed, 14, 6), table(seed + 100, 14, 6)
    alphas = {"normal": normal, "reduce": reduce}
    derived = derive(normal, reduce, primitives)
    assert ranked(alphas, primitives) == derived
    skips = sum(op == "skip_connect" for op, _ in derived.normal)
    assert ranked(alphas, primitives, max_skip_connects=skips) == derived
    for limit in range(skips):
        found = ranked(alphas, primitives, max_skip_connects=limit)
        assert isinstance(found, Genotype)
        assert sum(op == "skip_connect" for op, _ in found.normal) <= limit
        assert found.reduce == derived.reduce
    assert len({str(ranked(alphas, primitives, rank=rank)) for rank in range(1, 51)}) == 50


def test_alphas_that_are_all_equal_have_ranks_too() -> None:
    alphas = {"normal": [[0.0] * 3] * 5, "reduce": [[0.0] * 3] * 5}
    assert ranked(alphas, PRIMITIVES) == derive(alphas["normal"], alphas["reduce"], PRIMITIVES)
    assert len({str(ranked(alphas, PRIMITIVES, rank=rank)) for rank in range(1, 101)}) == 100
    assert derive_recurrent([[0.0] * 2], ["none", "tanh"]) == ranked({"recurrent": [[0.0] * 2]}, ["none", "tanh"])


def test_weights_that_underflow_are_still_ranked() -> None:
    alphas = {"normal": [[0.0, 2000.0, -2000.0]] * 2, "reduce": [[0.0, 2000.0, -2000.0]] * 2}
    found = ranked(alphas, PRIMITIVES, max_skip_connects=0)
    assert isinstance(found, Genotype)
    assert [op for op, _ in found.normal] == ["sep_conv_3x3", "sep_conv_3x3"]
