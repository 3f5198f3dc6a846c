"""Genotypes whose nodes keep 0 to 2 edges: their model, their formats, and the network that is built of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from api.compare.comparison import cell_rows
from darts_core.drawing.cells import cells_of
from darts_core.drawing.layout import layout_of
from darts_core.drawing.scene import describe, scene_of
from darts_core.drawing.svg import to_svg
from darts_core.errors import GenotypeError
from darts_core.genotypes import (
    KNOWN,
    Edge,
    Genotype,
    PlacedEdge,
    RecurrentGenotype,
    cell_diagnostics,
    to_dot,
    to_json,
    to_mmrazor,
)
from darts_core.models.drop_path import Paths
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.models.operations import Identity
from tests.support.darts_cells import parsed
from tests.support.sparse_cells import FAIR_DARTS, sparse_cells

SPARSE = parsed(FAIR_DARTS["a"])
DENSE = KNOWN["DARTS_V2"]
CONCAT = [2, 3, 4, 5]
LONE = [["sep_conv_3x3", 2, 0]]


def test_a_cell_of_the_authors_is_read_and_written_as_they_list_it() -> None:
    assert SPARSE.is_sparse
    assert SPARSE.normal[2] == PlacedEdge("max_pool_3x3", 4, 0)
    assert SPARSE.nodes("normal") == (
        (Edge("sep_conv_3x3", 0), Edge("sep_conv_5x5", 1)),
        (),
        (Edge("max_pool_3x3", 0),),
        (Edge("sep_conv_3x3", 0),),
    )
    assert str(SPARSE) == FAIR_DARTS["a"].replace("range(2, 6)", "[2, 3, 4, 5]")
    assert to_json(SPARSE)["normal"][2] == ["max_pool_3x3", 4, 0]


def test_a_genotype_with_two_edges_at_every_node_is_the_same_in_both_forms() -> None:
    in_threes = Genotype.of(
        [(op, 2 + i // 2, source) for i, (op, source) in enumerate(DENSE.normal)],
        DENSE.normal_concat,
        [(op, 2 + i // 2, source) for i, (op, source) in enumerate(DENSE.reduce)],
        DENSE.reduce_concat,
    )
    assert in_threes == DENSE
    assert hash(in_threes) == hash(DENSE)
    assert str(in_threes) == str(DENSE)
    assert not parsed(FAIR_DARTS["d"]).is_sparse


def test_one_sparse_cell_makes_the_whole_genotype_sparsed() -> None:
    mixed = Genotype.of(LONE, [2], [["skip_connect", 0], ["skip_connect", 1]], [2])
    assert mixed == Genotype.of(LONE, [2], [["skip_connect", 2, 0], ["skip_connect", 2, 1]], [2])
    assert "reduce=[('skip_connect', 2, 0), ('skip_connect', 2, 1)]" in str(mixed)


@given(sparse_cells(), sparse_cells())
def test_the_edges_of_the_nodes_are_all_edges_in_order(normal: Any, reduce: Any) -> None:
    found = Genotype.of(*normal, *reduce)
    assert [[op, 2 + i, source] for i, node in enumerate(found.nodes("normal")) for op, source in node] == normal[0]
    assert len(found.nodes("normal")) == max([edge[1] for edge in normal[0]] + normal[1]) - 1
    parts = found.built("normal")
    filled = {0, 1} | {node for node, edges in enumerate(parts.nodes, 2) if edges}
    assert all(edge.source in filled for edges in parts.nodes for edge in edges)
    assert set(parts.concat) == set(normal[1]) & filled


@pytest.mark.parametrize(
    ("normal", "concat", "says"),
    [
        ([["sep_conv_3x3", 3, 3]], CONCAT, r"normal\[0\]: node 3 can only read states 0 to 2, not 3"),
        ([["sep_conv_3x3", 1, 0]], CONCAT, r"normal\[0\]: nodes are numbered from 2 to 13, not 1"),
        ([["sep_conv_3x3", 14, 0]], CONCAT, r"normal\[0\]: nodes are numbered from 2 to 13, not 14"),
        ([["sep_conv_9x9", 2, 0]], CONCAT, r"normal\[0\]: unknown operation 'sep_conv_9x9'"),
        ([*LONE, ["skip_connect", 0]], CONCAT, r"normal\[1\]: expected \[operation, node, source\]"),
        ([["skip_connect", 4, 0], *LONE], CONCAT, r"normal\[1\]: an edge of node 2 behind one of node 4"),
        ([["skip_connect", 2, 0]] * 3, CONCAT, r"normal\[2\]: node 2 has a third edge; a node keeps at most 2"),
        (LONE, [2, 14], r"normal_concat: expected different nodes from 2 to 13"),
        (LONE, [3, 4], r"normal: all nodes of normal_concat, \[3, 4\], are empty"),
        ([["skip_connect", 3, 2]], CONCAT, r"normal: all nodes of normal_concat, \[2, 3, 4, 5\], are empty"),
        ([["skip_connect", 2, True]], CONCAT, r"normal\[0\]: expected \[operation, node\]"),
        ([], CONCAT, r"normal: expected two entries for each"),
    ],
)
def test_an_illegal_sparse_cell_is_refused_by_name(normal: Any, concat: list[int], says: str) -> None:
    with pytest.raises(GenotypeError, match=says):
        Genotype.of(normal, concat, SPARSE.reduce, SPARSE.reduce_concat)


def test_a_recurrent_cell_has_no_sparse_form() -> None:
    with pytest.raises(GenotypeError, match=r"recurrent\[0\]: expected \[operation, node\]"):
        RecurrentGenotype.of([["tanh", 1, 0]], [1])


def test_a_format_without_sparse_cells_names_the_node_and_the_way_out() -> None:
    with pytest.raises(GenotypeError, match=r"normal: node 3 keeps 0 of the two edges.*python, json or dot"):
        to_mmrazor(SPARSE)


def test_dot_has_the_empty_node_without_its_line_to_the_output() -> None:
    lines = to_dot(SPARSE, "normal").splitlines()
    assert '    normal_3 [label="3"];' in lines
    assert '    normal_0 -> normal_4 [label="max_pool_3x3"];' in lines
    assert [line for line in lines if "normal_3" in line and "->" in line] == []
    assert "    normal_5 -> normal_out [style=dashed];" in lines


@pytest.mark.parametrize("name", FAIR_DARTS)
def test_a_sparse_cell_is_drawn_with_its_weights(name: str) -> None:
    primitives = ["max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5"]
    primitives += ["dil_conv_3x3", "dil_conv_5x5"]
    table = [[0.9] * 7 for _ in range(14)]
    cells = cells_of(parsed(FAIR_DARTS[name]), {"normal": table, "reduce": table}, primitives)
    layout = layout_of(cells[0])
    for number, operations in enumerate(cells[0].nodes, 2):
        assert ("state", number) in layout.boxes
        assert [("operation", number, i) in layout.boxes for i in range(3)] == [i < len(operations) for i in range(3)]
        assert (("concat", number) in layout.curves) == bool(operations)
    assert to_svg(scene_of(cells)).count("<svg") == 1
    empty = [number for number, operations in enumerate(cells[0].nodes, 2) if not operations]
    assert [f"Node {number} is empty." in describe(cells[0]) for number in empty] == [True] * len(empty)


@given(sparse_cells())
@settings(max_examples=15, deadline=None)
def test_any_sparse_cell_is_drawn(cell: Any) -> None:
    scene_of(cells_of(Genotype.of(*cell, *cell)))


def test_diagnostics_count_the_edges_that_are_there() -> None:
    table = [[0.5, 0.9]] * 14
    found = cell_diagnostics(SPARSE, {"normal": table, "reduce": table})
    assert (found["skip_connects"], found["parameter_free"]) == (0, 1)
    assert (found["reduce_skip_connects"], found["reduce_parameter_free"]) == (2, 6)


def test_a_comparison_has_no_row_for_an_empty_node() -> None:
    rows = [(row.node, row.edges) for row in cell_rows([SPARSE, None]) if row.cell == "normal"]
    assert [node for node, _ in rows] == [2, 2, 4, 5]
    assert rows[2][1] == [("max_pool_3x3", 0), None]
    other = [row for row in cell_rows([SPARSE, DENSE]) if (row.cell, row.node) == ("normal", 3)]
    assert [row.edges for row in other] == [[None, ("sep_conv_3x3", 0)], [None, ("sep_conv_3x3", 1)]]


def _network(genotype: Genotype, **sizes: Any) -> EvaluationNetwork:
    torch.manual_seed(0)
    return EvaluationNetwork(genotype, **{"channels": 4, "layers": 3, "classes": 3, **sizes})


@given(sparse_cells(repeatable=True), sparse_cells(repeatable=True))
@settings(max_examples=25, deadline=None)
def test_an_empty_node_is_zeros_that_no_layer_sees(normal: Any, reduce: Any) -> None:
    """Against a cell that has its empty nodes as zeros, of which the output leaves out those that are all zeros."""
    network = _network(Genotype.of(*normal, *reduce)).double().eval()
    cell: Any = network.cells[0]
    older = newer = torch.randn(2, 12, 8, 8, dtype=torch.float64)
    states: list[torch.Tensor | None] = [cell.preprocess0(older), cell.preprocess1(newer)]
    ops = iter(cell._ops)
    for node in range(2, 2 + max([edge[1] for edge in normal[0]] + normal[1]) - 1):
        reads = [states[source] for _, enters, source in normal[0] if enters == node]
        terms = [next(ops)(state) for state in reads if state is not None]
        states.append(torch.stack(terms).sum(0) if terms else None)
    assert next(ops, None) is None
    expected = torch.cat([state for node in normal[1] if (state := states[node]) is not None], dim=1)
    assert torch.allclose(cell(older, newer), expected, rtol=0, atol=1e-12)


@given(sparse_cells(repeatable=True), sparse_cells(repeatable=True), st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_network_of_any_sparse_genotype_trains_and_loads_its_weights(
    normal: Any, reduce: Any, auxiliary: bool
) -> None:
    genotype = Genotype.of(*normal, *reduce)
    network = _network(genotype, auxiliary=auxiliary)
    network.set_drop_path(0.2, torch.Generator().manual_seed(0))
    logits, beside = network.with_auxiliary(torch.randn(2, 3, 32, 32))
    torch.autograd.backward(logits.sum() + (0 if beside is None else beside.sum()))
    assert logits.shape == (2, 3)
    assert network.classifier.weight.grad is not None
    again = _network(parsed(str(genotype)), auxiliary=auxiliary)
    again.load_state_dict(network.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(again.eval()(x), network.eval()(x))


def test_the_identity_is_still_exempt_from_drop_path() -> None:
    genotype = Genotype.of([["skip_connect", 2, 0]], [2], [["skip_connect", 2, 0]], [2])
    network = _network(genotype)
    cell: Any = network.cells[0]
    assert isinstance(cell._ops[0], Identity)
    older = torch.randn(1, 12, 8, 8)
    none_kept = Paths(torch.ones(cell.paths, 1), torch.tensor(0.5))
    assert torch.equal(cell(older, older, none_kept), cell.preprocess0(older))
