"""Signs of a collapse, on cells and tables whose figures are known by hand."""

from __future__ import annotations

import math

import pytest

from darts_core.genotypes import (
    KNOWN,
    Genotype,
    NasBench201Genotype,
    collapse_signs,
    derive,
    derive_nasbench201,
    is_collapsed,
    softmaxed,
)
from darts_core.primitives import CNN_PRIMITIVES, NASBENCH201_PRIMITIVES

pytestmark = pytest.mark.light

S2 = ("skip_connect", "sep_conv_3x3")
S4 = ("noise", "sep_conv_3x3")


def of_edges(first: list[bool], primitives: tuple[str, str], reduce: list[bool] | None = None) -> Genotype:
    """The cell of 4 nodes whose normal edges, two a node, have the first primitive where `first` is true."""

    def table(chosen: list[bool]) -> list[list[float]]:
        rows = []
        for node in range(4):
            kept = [[2.0, 0.0] if one else [0.0, 2.0] for one in chosen[2 * node : 2 * node + 2]]
            rows += kept + [[0.0, 0.0]] * node
        return rows

    return derive(table(first), table(reduce or [False] * 8), primitives)


def counted(count: int) -> list[bool]:
    return [place < count for place in range(8)]


@pytest.mark.parametrize(("skips", "expected"), [(4, False), (5, True), (8, True)])
def test_a_cell_has_collapsed_when_more_than_half_of_its_normal_edges_are_skip_connections(
    skips: int, expected: bool
) -> None:
    assert is_collapsed(of_edges(counted(skips), S2)) == expected
    assert not is_collapsed(of_edges(counted(0), S2, counted(8)))


@pytest.mark.parametrize(("index", "expected"), [("111333", False), ("111133", True), ("000444", False)])
def test_a_cell_of_nasbench201_has_collapsed_with_four_skip_connections(index: str, expected: bool) -> None:
    assert is_collapsed(NasBench201Genotype.of_index(index)) == expected


def test_a_cell_has_collapsed_with_any_noise_be_it_in_the_reduction_cell() -> None:
    assert is_collapsed(of_edges(counted(1), S4))
    assert is_collapsed(of_edges(counted(0), S4, counted(1)))
    assert not is_collapsed(of_edges(counted(0), S4))


@pytest.mark.parametrize("name", ["DARTS_V1", "DARTS_V2", "PC_DARTS"])
def test_published_cells_have_not_collapsed(name: str) -> None:
    cell = KNOWN[name]
    assert isinstance(cell, Genotype)
    assert not is_collapsed(cell)


def test_idle_edges_are_skip_connections_and_noise() -> None:
    flat = softmaxed({"normal": [[0.0, 0.0]] * 14, "reduce": [[0.0, 0.0]] * 14})
    assert collapse_signs(of_edges(counted(5), S2), flat, S2)["idle_share"] == 5 / 8
    found = collapse_signs(of_edges(counted(2), S4, counted(3)), flat, S4)
    assert (found["idle_share"], found["noise_edges"]) == (2 / 8, 5)
    assert "noise_edges" not in collapse_signs(of_edges(counted(2), S2), flat, S2)


def test_certainty_and_margin_are_those_of_shares_written_out_by_hand() -> None:
    """Half of the edges have 3/4 and 1/4, the others two halves."""
    rows = [[math.log(3), 0.0], [0.0, 0.0]] * 7
    cell = derive(rows, rows, S2)
    found = collapse_signs(cell, softmaxed({"normal": rows, "reduce": rows}), S2)
    decided = -(3 / 4 * math.log(3 / 4) + 1 / 4 * math.log(1 / 4))
    assert found["certainty"] == pytest.approx(1 - (decided + math.log(2)) / 2 / math.log(2), rel=1e-12)
    assert found["decision_margin"] == pytest.approx(1 / 4, rel=1e-12)


def test_certainty_counts_the_operations_that_an_edge_has() -> None:
    """An edge with one operation has nothing to decide, and weights of 0 stand for operations that it lacks."""
    rows = [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]] * 7
    names = ("sep_conv_3x3", "skip_connect", "dil_conv_3x3")
    found = collapse_signs(of_edges(counted(0), S2), {"normal": rows, "reduce": rows}, names)
    assert found["certainty"] == pytest.approx(0)
    assert collapse_signs(of_edges(counted(0), S2), {"normal": [[1.0]] * 14}, ("skip_connect",))["certainty"] == 0


def test_none_is_no_decision_but_in_nasbench201() -> None:
    rows = [[5.0, 1.0, *[0.0] * 6]] * 14
    row = softmaxed({"normal": rows, "reduce": rows})
    margin = collapse_signs(derive(rows, rows, CNN_PRIMITIVES), row, CNN_PRIMITIVES)["decision_margin"]
    assert margin == pytest.approx((math.e - 1) / (math.exp(5) + math.e + 6))
    alphas = [[5.0, 1.0, 0.0, 0.0, 0.0]] * 6
    cell = derive_nasbench201(alphas, NASBENCH201_PRIMITIVES)
    margin = collapse_signs(cell, softmaxed({"cell": alphas}), NASBENCH201_PRIMITIVES)["decision_margin"]
    assert margin == pytest.approx((math.exp(5) - math.e) / (math.exp(5) + math.e + 3))


def test_shares_of_weighted_edges_are_within_the_edge() -> None:
    """The strengths of PC-DARTS hold the edge's weight as a factor."""
    rows = [[0.3, 0.1]] * 14
    found = collapse_signs(of_edges(counted(0), S2), {"normal": rows, "reduce": rows}, S2)
    assert found["decision_margin"] == pytest.approx(1 / 2)
