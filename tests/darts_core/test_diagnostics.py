"""Diagnostics of a cell and its alphas after an epoch."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darts_core.genotypes import KNOWN, KNOWN_RECURRENT, cell_diagnostics, derive, softmax, softmaxed
from darts_core.genotypes.diagnostics import PARAMETER_FREE, entropy
from darts_core.primitives import CNN_PRIMITIVES, edges_of

pytestmark = pytest.mark.light

# A busy machine is no reason to fail.
patient = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FLAT = {"normal": [[0.0] * 8] * 14, "reduce": [[0.0] * 8] * 14}
rows = st.lists(st.floats(-20, 20), min_size=8, max_size=8)
tables = st.lists(rows, min_size=edges_of(2), max_size=edges_of(2))


def shares(table: list[list[float]]) -> list[list[float]]:
    return [softmax(row) for row in table]


@pytest.mark.parametrize(
    ("name", "normal_skips", "normal_free", "reduce_skips", "reduce_free"),
    [("DARTS_V1", 3, 3, 3, 8), ("DARTS_V2", 2, 2, 3, 8), ("PC_DARTS", 1, 2, 0, 1)],
)
def test_published_cells_have_the_skips_and_parameter_free_operations_that_stand_in_them(
    name: str, normal_skips: int, normal_free: int, reduce_skips: int, reduce_free: int
) -> None:
    found = cell_diagnostics(KNOWN[name], softmaxed(FLAT))
    assert (found["skip_connects"], found["parameter_free"]) == (normal_skips, normal_free)
    assert (found["reduce_skip_connects"], found["reduce_parameter_free"]) == (reduce_skips, reduce_free)


def test_a_recurrent_cell_reports_its_identities_and_its_one_entropy() -> None:
    assert cell_diagnostics(KNOWN_RECURRENT["DARTS_V1"], softmaxed({"recurrent": [[0.0] * 5] * 36})) == {
        "identities": 1,
        "alpha_entropy": pytest.approx(math.log(5), rel=1e-15),
    }


def test_entropy_is_that_of_the_weights_written_out_by_hand() -> None:
    half = [math.log(2.0), math.log(1.0), math.log(1.0)]  # weights 1/2, 1/4, 1/4
    by_hand = 0.5 * math.log(2) + 2 * 0.25 * math.log(4)
    assert entropy(shares([half, [5.0, 5.0, 5.0]])) == pytest.approx((by_hand + math.log(3)) / 2, rel=1e-14)


@patient
@given(table=tables)
def test_entropy_lies_between_decided_and_undecided(table: list[list[float]]) -> None:
    assert 0 <= entropy(shares(table)) <= math.log(8) * (1 + 1e-12)


@patient
@given(table=tables, by=st.lists(st.floats(-50, 50), min_size=5, max_size=5))
def test_entropy_ignores_shifts_that_softmax_ignores(table: list[list[float]], by: list[float]) -> None:
    moved = [[a + shift for a in row] for row, shift in zip(table, by, strict=True)]
    assert entropy(shares(moved)) == pytest.approx(entropy(shares(table)), rel=1e-6, abs=1e-9)


def test_entropy_of_far_apart_alphas_is_zero_and_not_minus_zero() -> None:
    assert math.copysign(1, entropy(shares([[900.0, 0.0, -900.0]]))) == 1


@patient
@given(normal=tables, reduce=tables)
def test_counts_agree_with_the_cell_and_skips_are_among_the_parameter_free(
    normal: list[list[float]], reduce: list[list[float]]
) -> None:
    genotype = derive(normal, reduce, CNN_PRIMITIVES)
    found = cell_diagnostics(genotype, softmaxed({"normal": normal, "reduce": reduce}))
    assert found["skip_connects"] == [edge.op for edge in genotype.normal].count("skip_connect")
    assert found["reduce_parameter_free"] == len([edge for edge in genotype.reduce if edge.op in PARAMETER_FREE])
    assert found["skip_connects"] <= found["parameter_free"] <= len(genotype.normal)
