"""The n-th best genotype of operation strengths, against all genotypes that there are."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

import pytest

from darts_core.errors import GenotypeError
from darts_core.genotypes import (
    Edge,
    Genotype,
    RecurrentGenotype,
    derive,
    derive_recurrent,
    parse,
    ranked,
    softmaxed,
    to_json,
)

pytestmark = pytest.mark.light

Table = list[list[float]]
PRIMITIVES = ["none", "skip_connect", "sep_conv_3x3"]


def table(seed: int, edges: int, columns: int) -> Table:
    """Alphas."""
    source = random.Random(seed)
    return [[source.gauss(0, 1) for _ in range(columns)] for _ in range(edges)]


def weak(seed: int, edges: int, columns: int) -> Table:
    """Strengths whose rows do not add up to 1."""
    source = random.Random(seed)
    return [[source.random() for _ in range(columns)] for _ in range(edges)]


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
                    (rows[first + s][primitives.index(op)], Edge(op, s)) for s, op in zip(sources, ops, strict=True)
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
    if seed % 2:
        strengths = {"normal": weak(seed, 5, 3), "reduce": weak(seed + 100, 5, 3)}
    else:
        strengths = softmaxed({"normal": table(seed, 5, 3), "reduce": table(seed + 100, 5, 3)})
    normal, reduce = strengths["normal"], strengths["reduce"]
    everything = sorted(
        (
            (a * b, n, r)
            for (a, n), (b, r) in itertools.product(cells(normal, PRIMITIVES, 2), cells(reduce, PRIMITIVES, 2))
            if limit is None or sum(op == "skip_connect" for op, _ in n) <= limit
        ),
        key=lambda entry: -entry[0],
    )
    for rank in range(1, min(100, len(everything)) + 1):
        _, expected_normal, expected_reduce = everything[rank - 1]
        found = ranked(strengths, PRIMITIVES, rank=rank, max_skip_connects=limit)
        assert isinstance(found, Genotype)
        assert (found.normal, found.reduce) == (expected_normal, expected_reduce)
    if len(everything) < 100:
        with pytest.raises(GenotypeError, match="fewer than"):
            ranked(strengths, PRIMITIVES, rank=len(everything) + 1, max_skip_connects=limit)


@pytest.mark.parametrize("seed", range(3))
def test_of_a_recurrent_cell_it_is_the_nth_of_all_as_well(seed: int) -> None:
    rows, primitives = weak(seed, 6, 3), ["none", "tanh", "relu"]
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
    strengths = softmaxed({"normal": normal, "reduce": reduce})
    derived = derive(normal, reduce, primitives)
    assert ranked(strengths, primitives) == derived
    skips = sum(edge.op == "skip_connect" for edge in derived.normal)
    assert ranked(strengths, primitives, max_skip_connects=skips) == derived
    for limit in range(skips):
        found = ranked(strengths, primitives, max_skip_connects=limit)
        assert isinstance(found, Genotype)
        assert sum(edge.op == "skip_connect" for edge in found.normal) <= limit
        assert found.reduce == derived.reduce
    assert len({str(ranked(strengths, primitives, rank=rank)) for rank in range(1, 51)}) == 50


def test_strengths_that_are_all_equal_have_ranks_too() -> None:
    flat = [[0.0] * 3] * 5
    strengths = softmaxed({"normal": flat, "reduce": flat})
    assert ranked(strengths, PRIMITIVES) == derive(flat, flat, PRIMITIVES)
    assert len({str(ranked(strengths, PRIMITIVES, rank=rank)) for rank in range(1, 101)}) == 100
    assert derive_recurrent([[0.0] * 2], ["none", "tanh"]) == ranked({"recurrent": [[0.0] * 2]}, ["none", "tanh"])


def test_strengths_of_zero_are_still_ranked() -> None:
    rows = [[0.0, 1.0, 0.0]] * 2
    found = [ranked({"normal": rows, "reduce": rows}, PRIMITIVES, rank=r, max_skip_connects=0) for r in (1, 2)]
    assert isinstance(found[0], Genotype)
    assert [edge.op for edge in found[0].normal] == ["sep_conv_3x3", "sep_conv_3x3"]
    assert found[0] != found[1]


@pytest.mark.parametrize("seed", range(5))
def test_a_cell_that_the_method_derives_otherwise_is_the_first_and_the_others_follow_it(seed: int) -> None:
    strengths = softmaxed({"normal": table(seed, 5, 3), "reduce": table(seed + 100, 5, 3)})
    plain = [ranked(strengths, PRIMITIVES, rank=rank) for rank in range(1, 12)]
    derived = plain[4]
    assert isinstance(derived, Genotype)
    found = [ranked(strengths, PRIMITIVES, rank=rank, derived=derived) for rank in range(1, 12)]
    assert found == [derived, *plain[:4], *plain[5:]]
    # The order of a node's edges says nothing.
    first, second, *others = to_json(derived)["normal"]
    turned = parse(to_json(derived) | {"normal": [second, first, *others]})
    assert [ranked(strengths, PRIMITIVES, rank=rank, derived=turned) for rank in range(2, 12)] == found[1:]
    limit = sum(edge.op == "skip_connect" for edge in derived.normal)
    assert ranked(strengths, PRIMITIVES, max_skip_connects=limit, derived=derived) == derived


def test_a_recurrent_cell_that_the_method_derives_otherwise_is_the_first() -> None:
    strengths, primitives = {"recurrent": weak(0, 6, 3)}, ["none", "tanh", "relu"]
    plain = [ranked(strengths, primitives, rank=rank) for rank in range(1, 6)]
    found = [ranked(strengths, primitives, rank=rank, derived=plain[2]) for rank in range(1, 6)]
    assert found == [plain[2], plain[0], plain[1], *plain[3:]]
