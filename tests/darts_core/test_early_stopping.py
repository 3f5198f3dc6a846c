"""Early stopping: conditions, warnings, and a resumed run that stops at the same epoch."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from darts_core import run_search
from darts_core.configs import RnnSearchConfig, SearchConfig
from darts_core.errors import ConfigError, Stopped
from darts_core.files import checkpoints
from darts_core.training.early_stopping import PAPERS, Condition, stop_reason, warnings
from darts_core.training.reports import EpochReport
from tests.support.recorder import AT_EVERY_STEP, Recorder
from tests.support.same_bits import assert_same_bits

# A busy machine is no reason to fail.
patient = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
def test_a_malformed_condition_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="as in '>2'"):
        Condition.parse(text)


@patient
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


@patient
@given(values=st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_warnings_are_the_beginnings_of_the_runs_of_epochs_past_the_limit(values: list[int]) -> None:
    begins = [e for e, v in enumerate(values, 1) if v > 2 and (e == 1 or values[e - 2] <= 2)]
    assert warned_at({}, counts(*values)) == begins


@pytest.mark.parametrize(
    ("make", "given_", "says"),
    [
        (SearchConfig, {"skips": ">2"}, "'skip_connects', 'parameter_free', 'alpha_entropy'"),
        (SearchConfig, {"skip_connects": "2"}, "> >= < <="),
        (SearchConfig, {}, "at least 1"),
        (RnnSearchConfig, {"skip_connects": ">2"}, "'identities' or 'alpha_entropy'"),
    ],
)
def test_a_spec_refuses_a_condition_that_cannot_be_watched(
    make: type[SearchConfig | RnnSearchConfig], given_: dict[str, str], says: str
) -> None:
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


def test_a_search_does_not_end_before_the_epoch_that_it_may_stop_from(
    undisturbed: list[EpochReport], search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = stopping(search_config, stop_from=len(undisturbed) + 1)
    reports = list(run_search(config, data_root=data_root))
    assert len(reports) == len(undisturbed) + 1
    assert reports[-1].stopped_early is not None
    resumed = list(run_search(config, data_root=data_root, resume_from=reports[-2].checkpoint))
    assert [r.stopped_early for r in resumed] == [reports[-1].stopped_early]


@pytest.mark.parametrize("make", [SearchConfig, RnnSearchConfig])
def test_a_search_that_could_never_stop_early_is_refused(make: type[SearchConfig | RnnSearchConfig]) -> None:
    config = make(dataset="digits" if make is SearchConfig else "python-docs", epochs=3, stop_from=4)
    with pytest.raises(ConfigError, match="epoch 4 lies behind the last one, 3"):
        config.resolved()


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
    control = Recorder()
    reports = run_search(config, data_root=data_root, control=control)
    for _ in undisturbed[:-1]:
        next(reports)
    control.stop_after = control.asked + 1
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


def grown(before: float, now: float) -> list[float]:
    return [before] * 5 + [now] * 5


def test_growth_compares_the_last_five_measurements_with_the_five_before() -> None:
    values = [9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert PAPERS.growth(values) == pytest.approx(30 / 15)


@pytest.mark.parametrize("values", [[], [1.0] * 9, grown(0.0, 1.0), grown(-1.0, 1.0)])
def test_there_is_no_growth_without_two_windows_or_from_nothing(values: list[float]) -> None:
    assert PAPERS.growth(values) is None


def test_the_run_goes_back_to_the_middle_of_the_window_before() -> None:
    """lambda(i) is the mean of the 5 around i = 8, lambda(i - 5) of those around 3."""
    assert PAPERS.before([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) == 3
    assert PAPERS.before([90, *range(1, 11)]) == 3


@patient
@given(factor=st.floats(0.1, 10))
def test_the_papers_threshold_is_a_growth_of_four_thirds(factor: float) -> None:
    """RobustDARTS stops where the mean before is less than 0.75 of the mean now."""
    found = PAPERS.growth(grown(1.0, factor))
    assert found is not None
    assert Condition.parse(">1.333333333333").holds(found) == (1 / factor < 0.75) or factor == pytest.approx(4 / 3)


def test_growth_is_warned_of_half_way_to_where_it_stops_the_search_and_once_an_episode() -> None:
    history = [{"eigenvalue_growth": value} for value in (1.1, 1.3, 1.4, 1.2, 1.3)]
    assert warned_at({"eigenvalue_growth": ">1.5"}, history) == [2, 5]
    assert warned_at({}, [{"eigenvalue_growth": 1.16}, {"eigenvalue_growth": 1.17}]) == [2]


@pytest.mark.parametrize("name", ["eigenvalue", "eigenvalue_growth"])
def test_an_eigenvalue_that_is_not_measured_cannot_stop_a_search(name: str) -> None:
    with pytest.raises(ConfigError, match="needs hessian_every"):
        SearchConfig(dataset="digits", stop_when={name: ">1"}).resolved()


def test_the_eigenvalue_is_measured_on_one_device_alone(search_config: MakeSearch, data_root: Path) -> None:
    with pytest.raises(ConfigError, match="hessian_every: works on one GPU, not on 2"):
        run_search(search_config(hessian_every=1), data_root=data_root, gpus=2)


def test_measuring_the_eigenvalue_changes_nothing_else(search_config: MakeSearch, data_root: Path) -> None:
    plain = list(run_search(search_config(), data_root=data_root))
    measured = list(run_search(search_config(hessian_every=2), data_root=data_root))
    assert ["hessian_eigenvalue" in r.metrics for r in measured] == [False, True, False]
    assert measured[1].metrics["hessian_eigenvalue"] >= 0
    for one, other in zip(plain, measured, strict=True):
        assert_same_bits(one.checkpoint["weights"], other.checkpoint["weights"])
        assert_same_bits(one.alphas, other.alphas)


@pytest.fixture
def growing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An eigenvalue that is 1 up to the 7th epoch and 3 behind it: two windows tell that it grew."""
    monkeypatch.setattr(
        "darts_core.training.image_search.ImageSearch._eigenvalue", lambda run: 1.0 if run.epoch <= 7 else 3.0
    )


@pytest.mark.usefixtures("growing")
def test_a_search_whose_eigenvalue_grows_returns_the_cell_from_before_and_so_does_a_resumed_one(
    search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(epochs=20, alpha_lr=0.1, hessian_every=1, stop_when={"eigenvalue_growth": ">1.5"})
    undisturbed = list(run_search(config, data_root=data_root))
    # Windows 1..5 and 6..10: (1 + 1 + 3 * 3) / 5 of 1; the first one ends around epoch 3.
    last = undisturbed[-1]
    assert last.epoch == 10
    assert last.metrics["eigenvalue_growth"] == pytest.approx(11 / 5)
    assert last.metrics["rolled_back_to"] == 3
    assert last.stopped_early == "eigenvalue_growth is 2.2 (>1.5); the cell is that of epoch 3, before it grew"
    assert_same_bits(last.alphas, undisturbed[2].alphas)
    assert_same_bits(last.checkpoint["alphas"], undisturbed[2].alphas)
    assert last.genotype == undisturbed[2].genotype
    assert last.metrics["alpha_entropy"] == undisturbed[2].metrics["alpha_entropy"]
    undisturbed[6].save(tmp_path / "c.pt")
    resumed = list(run_search(config, data_root=data_root, resume_from=checkpoints.read(tmp_path / "c.pt")))
    assert [r.epoch for r in resumed] == [8, 9, 10]
    assert_same_bits(last.checkpoint, resumed[-1].checkpoint)


@pytest.mark.usefixtures("growing")
def test_a_checkpoint_file_holds_the_alphas_of_its_epoch_once(
    search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(epochs=2, hessian_every=1, stop_when={"eigenvalue_growth": ">1.5"})
    list(run_search(config, data_root=data_root))[-1].save(tmp_path / "c.pt")
    file = checkpoints.read(tmp_path / "c.pt")
    kept = file["resume"]["watch"]["alphas"]
    assert list(kept) == [1, 2]
    for kind, table in file["alphas"].items():
        assert kept[2][kind].data_ptr() == table.data_ptr() != kept[1][kind].data_ptr()
