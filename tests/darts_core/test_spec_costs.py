"""The cost of a spec's network is that of the network with its sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.data.catalogue import BUILT_IN
from darts_core.genotypes import KNOWN, drawn_cell, to_json
from darts_core.profile import Shape, nasbench201_search_cost, profile, search_cost, shape_of
from darts_core.profile.specs import evaluation_multiply_adds, search_multiply_adds, shape_of_spec
from darts_core.spaces import SPACES

pytestmark = pytest.mark.light

CIFAR10, DIGITS = BUILT_IN["cifar10"], BUILT_IN["digits"]


def test_an_evaluation_costs_what_its_cell_s_network_does() -> None:
    spec = EvaluationConfig(dataset="cifar10", genotype=to_json(KNOWN["DARTS_V2"])).resolved().model_dump()
    assert f"{evaluation_multiply_adds(spec, CIFAR10) / 1e6:.3f}" == "528.359"  # as published
    cell = drawn_cell("cnn", 3, space="bench-wide-all-skip")
    spec = (
        EvaluationConfig(dataset="digits", genotype=to_json(cell), edge_skips=True, layers=4, reductions=[1])
        .resolved()
        .model_dump()
    )
    shape = Shape(16, 4, 10, 8, 1, reductions=(1,), edge_skips=True)
    assert shape_of_spec(spec, DIGITS) == shape
    assert evaluation_multiply_adds(spec, DIGITS) == profile(cell, shape).multiply_adds  # type: ignore[arg-type]


def test_a_search_costs_what_its_supernet_does() -> None:
    spec = SearchConfig(dataset="cifar10").resolved().model_dump()
    shape = replace(shape_of(), channels=16, layers=8)
    everything = search_cost(SPACES["darts"].primitives, 4, shape).multiply_adds
    assert search_multiply_adds(spec, CIFAR10) == everything
    partial = SearchConfig(dataset="cifar10", method="pc-darts").resolved().model_dump()
    assert (
        search_multiply_adds(partial, CIFAR10)
        == search_cost(SPACES["darts"].primitives, 4, shape, partial=4).multiply_adds
    )
    skipping = SearchConfig(dataset="cifar10", space="bench-wide-all-skip").resolved().model_dump()
    assert shape_of_spec(skipping, CIFAR10).edge_skips


def test_a_search_in_nasbench201_costs_what_its_supernet_does() -> None:
    spec = SearchConfig(dataset="digits", space="nasbench201", layers=3, channels=8).resolved().model_dump()
    cost = nasbench201_search_cost(SPACES["nasbench201"].primitives, Shape(8, 3, 10, 8, 1))
    assert search_multiply_adds(spec, DIGITS) == cost.multiply_adds


def test_the_lists_of_single_edges_count() -> None:
    whole = SearchConfig(dataset="digits", space="darts").resolved().model_dump()
    fewer = SearchConfig(dataset="digits", space="s1").resolved().model_dump()
    assert search_multiply_adds(fewer, DIGITS) < search_multiply_adds(whole, DIGITS) / 2
