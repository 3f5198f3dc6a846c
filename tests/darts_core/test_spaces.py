"""The search spaces of convolutional cells: their operations, and what they set in a spec."""

from __future__ import annotations

from typing import cast, get_args

import pytest

from darts_core.configs import SearchConfig
from darts_core.errors import ConfigError
from darts_core.primitives import CNN_PRIMITIVES, edges_of
from darts_core.spaces import SPACES, CnnSpace

pytestmark = pytest.mark.light


def test_every_named_space_is_registered() -> None:
    assert set(SPACES) == set(get_args(CnnSpace))


@pytest.mark.parametrize("name", SPACES)
def test_a_space_has_a_source_and_operations_for_each_of_its_edges(name: CnnSpace) -> None:
    space = SPACES[name]
    assert space.title
    assert space.source
    assert space.summary
    assert len(set(space.primitives)) == len(space.primitives)
    for cell, lists in space.edges.items():
        assert cell in space.cells
        assert len(lists) == edges_of(space.nodes or 4)
        # In the order of the columns, so that ties go to the same operation in a list as in a table.
        assert all(list(some) == [name for name in space.primitives if name in some] for some in lists)


@pytest.mark.parametrize("name", SPACES)
def test_a_spec_takes_primitives_and_sizes_from_its_space(name: CnnSpace) -> None:
    spec = SearchConfig(dataset="digits", space=name).resolved()
    space = SPACES[name]
    assert tuple(spec.primitives or ()) == space.primitives
    assert {field: getattr(spec, field) for field in space.fields} == space.fields
    assert spec.resolved() == spec


def test_a_given_value_wins_over_the_space() -> None:
    spec = SearchConfig(dataset="digits", space="bench-wide", layers=2).resolved()
    assert (spec.channels, spec.layers) == (18, 2)


@pytest.mark.parametrize("shape", ["wide", "deep", "single-cell"])
def test_a_shape_of_the_bench_suite_comes_with_three_sets_of_operations(shape: str) -> None:
    regular, none, everywhere = (SPACES[cast(CnnSpace, f"bench-{shape}{end}")] for end in ("", "-no-skip", "-all-skip"))
    assert none.primitives == tuple(name for name in CNN_PRIMITIVES if name != "skip_connect")
    assert regular.primitives == everywhere.primitives == CNN_PRIMITIVES
    assert [space.edge_skips for space in (regular, none, everywhere)] == [False, False, True]
    assert regular.fields == none.fields == everywhere.fields
    assert len({(space.nodes, space.outputs) for space in (regular, none, everywhere)}) == 1


def test_sizes_are_those_of_the_bench_suite() -> None:
    sizes = {name: (*SPACES[name].fields.values(), SPACES[name].nodes) for name in SPACES if name.startswith("bench")}
    assert sizes["bench-wide"] == (18, 4, None)
    assert sizes["bench-deep"] == (7, 18, None)
    assert sizes["bench-single-cell"] == (26, 1, 8)


def test_primitives_of_another_space_are_refused() -> None:
    with pytest.raises(ConfigError, match="primitives: differ from those of space 's3'"):
        SearchConfig(dataset="digits", space="s3", primitives=["skip_connect"]).resolved()
