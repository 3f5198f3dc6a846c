"""The search spaces of convolutional cells: their operations, and what they set in a spec."""

from __future__ import annotations

from typing import get_args

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


def test_spaces_without_skips_lack_only_them() -> None:
    assert SPACES["bench-wide-no-skip"].primitives == tuple(p for p in CNN_PRIMITIVES if p != "skip_connect")


def test_primitives_of_another_space_are_refused() -> None:
    with pytest.raises(ConfigError, match="primitives: differ from those of space 's3'"):
        SearchConfig(dataset="digits", space="s3", primitives=["skip_connect"]).resolved()
