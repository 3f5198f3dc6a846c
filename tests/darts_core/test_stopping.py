"""Stopping a search early: when, why, what is warned of before, and that a resumed run stops at the same epoch."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from killing import AT_EVERY_STEP, Killer
from pydantic import ValidationError

from darts_core import checkpoints, run_search
from darts_core.configs import RnnSearchConfig, SearchConfig
from darts_core.errors import Stopped
from darts_core.stopping import Condition, stop_reason, warnings
from darts_core.training.reports import EpochReport

from same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]


def counts(*values: int) -> list[dict[str, float]]:
    return [{"skip_connects": float(value)} for value in values]


def warned_at(conditions: dict[str, str], history: list[dict[str, float]]) -> list[int]:
    return [epoch for epoch in range(1, len(history) + 1) if warnings(conditions, history[:epoch])]


@pytest.mark.parametrize(
    ("text", "holds", "fails"), [(">2", 2.5, 2), (">= 2", 2, 1.9), ("<0.5", 0.4, 0.5), (" <= -1.5 ", -1.5, -1)]
)
def test_a_condition_holds_as_it_reads(text: str, holds: float, fails: float) -> None:
    condition = Condition.parse(text)
    assert condition.holds(holds)
    assert not condition.holds(fails)


@pytest.mark.parametrize("text", ["2", "=2", "> two", "", ">2; import os", "=> 2", ">nan", ">1e999", "≥2"])
def test_what_is_no_comparison_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="as in '>2'"):
        Condition.parse(text)


@given(
    value=st.integers(0, 8),
    bound=st.integers(0, 8),
    sign=st.sampled_from([(">", operator.gt), (">=", operator.ge), ("<", operator.lt), ("<=", operator.le)]),
)
def test_a_search_stops_exactly_when_its_condition_holds(
    value: int, bound: int, sign: tuple[str, Callable[[int, int], bool]]
) -> None:
    text, compare = sign
    says = stop_reason({"skip_connects": f"{text}{bound}"}, {"skip_connects": float(value)})
    assert (says is not None) == compare(value, bound)


def test_the_reason_names_all_that_holds_with_value_and_bound() -> None:
    conditions = {"skip_connects": ">2", "alpha_entropy": "< 0.5", "parameter_free": ">6"}
    metrics = {"skip_connects": 3.0, "alpha_entropy": 0.25, "parameter_free": 6.0}
    assert stop_reason(conditions, metrics) == "skip_connects is 3 (>2), alpha_entropy is 0.25 (<0.5)"


def test_a_warning_comes_when_one_more_would_stop_the_search_and_once_an_episode() -> None:
    assert warned_at({"skip_connects": ">2"}, counts(1, 2, 2, 1, 2, 0)) == [2, 5]


def test_without_a_condition_more_than_two_skip_connections_are_warned_of() -> None:
    assert warned_at({}, counts(2, 3, 4, 2, 3)) == [2, 5]


def test_only_counts_are_warned_of() -> None:
    assert warned_at({"alpha_entropy": "<1"}, [{"alpha_entropy": 1.5}, {"alpha_entropy": 1.01}]) == []


@given(values=st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_warnings_are_the_beginnings_of_the_runs_of_epochs_past_the_limit(values: list[int]) -> None:
    begins = [e for e, v in enumerate(values, 1) if v > 2 and (e == 1 or values[e - 2] <= 2)]
    assert warned_at({}, counts(*values)) == begins


@pytest.mark.parametrize(
    ("make", "given_", "says"),
    [
        (SearchConfig, {"skips": ">2"}, "'skip_connects', 'parameter_free' or 'alpha_entropy'"),
        (SearchConfig, {"skip_connects": "2"}, "> >= < <="),
        (SearchConfig, {}, "at least 1"),
        (RnnSearchConfig, {"skip_connects": ">2"}, "'identities' or 'alpha_entropy'"),
    ],
)
def test_a_spec_refuses_what_cannot_be_watched(make: Any, given_: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        make(dataset="digits", stop_when=given_)


def stopping(make: MakeSearch, **changes: Any) -> SearchConfig:
    """A search whose alphas decide quickly: the entropy falls below the bound in the third of six epochs."""
    return make(epochs=6, alpha_lr=0.3, stop_when={"alpha_entropy": "<1.0"}, **changes)


@pytest.fixture
def undisturbed(search_config: MakeSearch, data_root: Path) -> list[EpochReport]:
    return list(run_search(stopping(search_config), data_root=data_root))


def test_a_search_ends_at_the_first_epoch_that_meets_the_condition(undisturbed: list[EpochReport]) -> None:
    entropies = [r.metrics["alpha_entropy"] for r in undisturbed]
    assert 1 < len(entropies) < 6
    assert all(e >= 1 for e in entropies[:-1])
    assert entropies[-1] < 1
    assert [r.stopped_early is None for r in undisturbed] == [True] * (len(entropies) - 1) + [False]
    assert undisturbed[-1].stopped_early == f"alpha_entropy is {entropies[-1]:g} (<1)"


def test_until_it_stops_a_search_is_the_same_as_without_a_condition(
    undisturbed: list[EpochReport], search_config: MakeSearch, data_root: Path
) -> None:
    plain = stopping(search_config).model_copy(update={"stop_when": None})
    for with_it, without in zip(undisturbed, run_search(plain, data_root=data_root), strict=False):
        assert with_it.metrics == without.metrics
        assert_same_bits(with_it.alphas, without.alphas)


def test_a_search_that_is_resumed_anywhere_stops_at_the_same_epoch(
    undisturbed: list[EpochReport], search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    for report in undisturbed:
        report.save(tmp_path / "c.pt")
        saved = checkpoints.read(tmp_path / "c.pt")
        resumed = list(run_search(stopping(search_config), data_root=data_root, resume_from=saved))
        assert [r.epoch for r in resumed] == list(range(report.epoch + 1, len(undisturbed) + 1))
        for ours, other in zip(resumed, undisturbed[report.epoch :], strict=True):
            assert_same_bits(ours.checkpoint, other.checkpoint)
            assert (ours.stopped_early, ours.warnings) == (other.stopped_early, other.warnings)


def test_a_search_killed_in_the_middle_of_its_last_epoch_stops_there_as_well(
    undisturbed: list[EpochReport], search_config: MakeSearch, data_root: Path
) -> None:
    config = stopping(search_config, checkpoint_seconds=AT_EVERY_STEP)
    control = Killer(10**9)
    reports = run_search(config, data_root=data_root, control=control)
    for _ in undisturbed[:-1]:
        next(reports)
    control.left = 1
    with pytest.raises(Stopped):
        next(reports)
    [last] = run_search(config, data_root=data_root, resume_from=control.kept[-1])
    assert last.stopped_early == undisturbed[-1].stopped_early
    assert_same_bits(last.alphas, undisturbed[-1].alphas)


def test_warnings_go_on_across_a_resume_without_being_said_twice(search_config: MakeSearch, data_root: Path) -> None:
    """All edges are skip-connections: the one warning is the first epoch's."""
    config = search_config(primitives=["skip_connect"], epochs=2)
    first = next(run_search(config, data_root=data_root))
    assert ["4 skip connects" in text for text in first.warnings] == [True]
    [second] = run_search(config, data_root=data_root, resume_from=first.checkpoint)
    assert second.warnings == ()
