"""The pure part of comparisons."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.compare.comparison import cell_rows, differences
from darts_core.genotypes import KNOWN, Genotype, random_genotype

pytestmark = pytest.mark.light

values = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())
# A busy machine is no reason to fail.
patient = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
specs = st.lists(st.dictionaries(st.sampled_from("abcd"), values), min_size=2, max_size=5)


@patient
@given(specs=specs)
def test_differences_are_exactly_the_fields_without_one_common_value(specs: list[dict[str, Any]]) -> None:
    found = differences(specs)
    for name in {name for spec in specs for name in spec}:
        each = [spec.get(name) for spec in specs]
        alike = all(type(value) is type(each[0]) and value == each[0] for value in each)
        assert (name in found) is not alike
        assert found.get(name, each) == each


def test_true_and_one_are_not_the_same_value() -> None:
    assert differences([{"flip": True}, {"flip": 1}]) == {"flip": [True, 1]}


@patient
@given(seed=st.integers(0, 1000))
def test_a_cell_is_the_same_as_itself_whatever_the_order_of_its_nodes_edges(seed: int) -> None:
    cell = random_genotype(seed)
    turned = Genotype(_turned(cell.normal), cell.normal_concat, _turned(cell.reduce), cell.reduce_concat)
    assert all(row.same for row in cell_rows([cell, turned]))


@patient
@given(seed=st.integers(0, 1000))
def test_every_kept_edge_stands_in_exactly_one_row(seed: int) -> None:
    cells = [random_genotype(seed), KNOWN["DARTS_V2"]]
    rows = list(cell_rows(cells))
    for index, cell in enumerate(cells):
        shown = [row.edges[index] for row in rows if row.cell == "normal"]
        assert sorted(edge for edge in shown if edge) == sorted(cell.normal)


def test_a_job_without_a_cell_does_not_make_the_others_differ() -> None:
    rows = list(cell_rows([KNOWN["DARTS_V2"], None, KNOWN["DARTS_V2"]]))
    assert all(row.same and row.edges[1] is None for row in rows)


def _turned(edges: Any) -> Any:
    return tuple(edges[i ^ 1] for i in range(len(edges)))
