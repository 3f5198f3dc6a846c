"""Operations of single edges in specs and cells."""

from __future__ import annotations

from typing import Any

import pytest

from darts_core.configs import SearchConfig
from darts_core.errors import ConfigError, GenotypeError
from darts_core.genotypes import Genotype, derive, drawn_cell, random_genotype
from darts_core.genotypes.derive import strongest, strongest_pairs
from darts_core.genotypes.edges import Edge
from darts_core.genotypes.model import CNN_CELLS
from darts_core.genotypes.ranked import ranked
from darts_core.primitives import edges_of
from darts_core.spaces import SPACES

pytestmark = pytest.mark.light

PRIMITIVES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
# Two nodes: edges 0 and 1 lead into the first, 2 to 4 into the second.
LISTS = [
    ["skip_connect", "sep_conv_3x3"],
    ["max_pool_3x3"],
    ["none", "sep_conv_3x3"],
    ["max_pool_3x3", "skip_connect"],
    ["none", "max_pool_3x3", "skip_connect", "sep_conv_3x3"],
]
EDGES = {"normal": LISTS, "reduce": LISTS}


def spec(**values: Any) -> SearchConfig:
    return SearchConfig(**{"dataset": "digits", "nodes": 2, **values}).resolved()


def test_s1_has_two_operations_on_each_edge() -> None:
    found = spec(space="s1", nodes=4)
    assert found.edges is not None
    assert {kind: [len(names) for names in lists] for kind, lists in found.edges.items()} == {
        "normal": [2] * 14,
        "reduce": [2] * 14,
    }
    assert found.edges["normal"][5] == ["max_pool_3x3", "skip_connect"]
    assert found.edges["reduce"][6] == ["max_pool_3x3", "sep_conv_3x3"]
    assert found.edges["normal"][13] == ["dil_conv_3x3", "dil_conv_5x5"]
    assert found.resolved() == found


def test_edges_alone_bring_their_primitives_in_the_order_of_columns() -> None:
    found = spec(edges={"normal": [["sep_conv_3x3", "none"]] + [["noise", "skip_connect"]] * 4})
    assert found.space is None
    assert found.primitives == ["none", "noise", "skip_connect", "sep_conv_3x3"]
    assert found.lists == {"normal": [["none", "sep_conv_3x3"]] + [["noise", "skip_connect"]] * 4}
    assert found.resolved() == found


@pytest.mark.parametrize(
    ("values", "place", "message"),
    [
        ({"edges": {"normal": LISTS[:4]}}, ("edges", "normal"), "a cell of 2 nodes has 5 edges, not 4"),
        (
            {"edges": {"reduce": [["none"], *LISTS[1:]]}, "space": "darts"},
            ("edges", "reduce", 0),
            "at least one operation other than 'none' is needed",
        ),
        (
            {"edges": {"normal": [["skip_connect"] * 2, *LISTS[1:]]}},
            ("edges", "normal", 0),
            "each operation can be named once",
        ),
        (
            {"edges": {"normal": LISTS}, "primitives": ["skip_connect", "max_pool_3x3"]},
            ("edges", "normal", 0),
            "sep_conv_3x3 is none of the primitives: skip_connect, max_pool_3x3",
        ),
        ({"edges": {"normal": LISTS}, "space": "s1", "nodes": 4}, ("edges",), "differ from those of space 's1'"),
        ({"space": "s1"}, ("nodes",), "a cell of space 's1' has 4"),
        ({"edges": {"normal": LISTS}, "method": "darts-minus"}, ("edges",), "darts-minus needs skip_connect"),
        ({"space": "s4", "order": 2}, ("order",), "noise differs from pass to pass"),
    ],
)
def test_edges_are_refused_by_name(values: dict[str, Any], place: tuple[str | int, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec(**values)
    found = {problem.loc: problem.msg for problem in caught.value.problems}
    assert message in found[place], found


def test_a_cell_keeps_operations_of_its_edges_lists_only() -> None:
    # On every edge the operation that it lacks has the largest alpha.
    table = [
        [0.0, 9.0, 1.0, 0.0],
        [9.0, 0.0, 9.0, 9.0],
        [0.0, 9.0, 9.0, 1.0],
        [9.0, 0.0, 0.0, 9.0],
        [5.0, 0.0, 0.0, 1.0],
    ]
    found = derive(table, table, PRIMITIVES, EDGES)
    # Edge 1 has a single operation, so a weight of 1; edge 3 has a tie, which the first operation wins.
    expected = (
        Edge("max_pool_3x3", 1),
        Edge("skip_connect", 0),
        Edge("sep_conv_3x3", 0),
        Edge("max_pool_3x3", 1),
    )
    assert found.normal == found.reduce == expected


def test_an_operation_that_an_edge_lacks_is_not_kept_when_all_others_have_no_weight_either() -> None:
    # `none` has all of the weight: the others' rounds to 0, as that of operations that the edge lacks is.
    zero = [[1.0, 0.0, 0.0, 0.0]] * 5
    lists = {kind: [["none", "sep_conv_3x3"]] * 5 for kind in ("normal", "reduce")}
    for rule in (strongest, strongest_pairs):
        assert {edge.op for edge in rule(zero, zero, PRIMITIVES, lists).normal} == {"sep_conv_3x3"}


def test_ranked_cells_have_operations_of_their_edges_only() -> None:
    row = [0.1, 0.2, 0.3, 0.4]
    strengths = {kind: [row] * 5 for kind in ("normal", "reduce")}
    seen = set()
    for rank in range(1, 30):
        cell = ranked(strengths, PRIMITIVES, rank=rank, lists=EDGES)
        assert isinstance(cell, Genotype)
        assert within(cell)
        seen.add(str(cell))
    assert len(seen) == 29


def within(cell: Genotype) -> bool:
    return all(
        op in LISTS[edges_of(node) + source]
        for kind in CNN_CELLS
        for node, edges in enumerate(cell.nodes(kind))
        for op, source in edges
    )


def test_random_cells_have_operations_of_their_edges_only() -> None:
    cells = [random_genotype(seed, nodes=2, primitives=PRIMITIVES, lists=EDGES) for seed in range(50)]
    assert all(map(within, cells))
    assert len(set(cells)) > 20


def test_a_random_cell_of_s1_is_of_s1() -> None:
    cell = drawn_cell("cnn", 3, space="s1")
    assert isinstance(cell, Genotype)
    for kind in ("normal", "reduce"):
        for place, edge in enumerate(getattr(cell, kind)):
            assert edge.op in SPACES["s1"].edges[kind][edges_of(place // 2) + edge.source]
    with pytest.raises(GenotypeError, match="a cell of space 's1' has 4 nodes, not 3"):
        drawn_cell("cnn", 3, space="s1", nodes=3)


def test_lists_of_another_number_of_edges_are_refused() -> None:
    table = [[0.0] * 4] * 5
    with pytest.raises(GenotypeError, match="the operations of 5 edges, got those of 4"):
        strongest(table, table, PRIMITIVES, {"normal": LISTS[:4]})
