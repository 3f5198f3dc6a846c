"""A training that is given more epochs goes on to the bits of one whose spec has the same extensions from the start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from darts_core import run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.configs.common import RunConfig
from darts_core.configs.extensions import Extension, extended
from darts_core.configs.selection import perturbation_of
from darts_core.errors import CheckpointError, ConfigError, Stopped
from darts_core.training.reports import EpochReport
from darts_core.training.schedules import cosine
from tests.support.recorder import AT_EVERY_STEP, Recorder, through_a_file
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]
MakeEvaluation = Callable[..., EvaluationConfig]


def assert_same_run(reports: list[EpochReport], others: list[EpochReport]) -> None:
    """Equal metrics in every epoch, and equal networks and states at the end."""
    assert [report.metrics for report in reports] == [other.metrics for other in others]
    last, other = ({k: v for k, v in run[-1].checkpoint.items() if k != "environment"} for run in (reports, others))
    assert_same_bits(last, other)


@pytest.mark.parametrize(
    "changes",
    [{}, {"method": "beta-darts"}, {"method": "darts-minus"}, {"method": "gdas"}, {"guard": "auto"}, {"order": 2}],
    ids=str,
)
def test_an_extended_search_equals_an_undisturbed_one_with_the_same_extension(
    changes: dict[str, Any], search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(epochs=2, **changes)
    first = list(run_search(config, data_root=data_root))
    longer = extended(config, 2, 4)
    assert longer.extensions == [Extension(after=2, epochs=2)]
    second = list(run_search(longer, data_root=data_root, resume_from=through_a_file(first[-1], tmp_path)))
    assert_same_run([*first, *second], list(run_search(longer, data_root=data_root)))


def test_an_extended_evaluation_equals_an_undisturbed_one_and_is_tested_at_both_ends(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    config = evaluation_config(epochs=2)
    first = list(run_evaluation(config, data_root=data_root))
    longer = extended(config, 2, 4)
    second = list(run_evaluation(longer, data_root=data_root, resume_from=through_a_file(first[-1], tmp_path)))
    assert_same_run([*first, *second], list(run_evaluation(longer, data_root=data_root)))
    assert ["test_loss" in report.metrics for report in (*first, *second)] == [False, True, False, True]
    rates = [report.metrics["weight_lr"] for report in (*first, *second)]
    ends = {1: 2, 2: 2, 3: 4, 4: 4}
    assert rates == [cosine(*at, config.weight_lr, config.weight_lr_min) for at in ends.items()]


def test_a_run_stopped_within_the_epochs_before_an_extension_goes_on_from_there(
    search_config: MakeSearch, data_root: Path
) -> None:
    config = search_config(epochs=2, checkpoint_seconds=AT_EVERY_STEP)
    longer = extended(config, 2, 3)
    control = Recorder(stop_at=3)
    with pytest.raises(Stopped):
        list(run_search(config, data_root=data_root, control=control))
    undisturbed = list(run_search(longer, data_root=data_root))
    resumed = list(run_search(longer, data_root=data_root, resume_from=control.kept[-1]))
    assert_same_run(resumed, undisturbed[-len(resumed) :])


def test_an_epoch_that_has_begun_under_the_old_number_does_not_go_on_under_the_new_one(
    search_config: MakeSearch, data_root: Path
) -> None:
    config = search_config(epochs=3, checkpoint_seconds=AT_EVERY_STEP)
    control = Recorder()
    reports = run_search(config, data_root=data_root, control=control)
    next(reports)
    control.stop_after = control.asked + 1
    with pytest.raises(Stopped):
        next(reports)
    with pytest.raises(CheckpointError, match=r"another spec \(epochs: 3 there, 5 here; extensions: \[\] there"):
        run_search(extended(config, 1, 5), data_root=data_root, resume_from=control.kept[-1])


def test_extensions_after_one_epoch_count_once(search_config: MakeSearch) -> None:
    config = search_config(epochs=2)
    twice = extended(extended(config, 2, 4), 2, 6)
    assert (twice.epochs, twice.extensions) == (6, [Extension(after=2, epochs=2)])
    again = extended(twice, 5, 9)
    assert [again.epochs_in(epoch) for epoch in range(1, 10)] == [2, 2, 6, 6, 6, 9, 9, 9, 9]
    assert extended(config, 0, 4) == config.model_copy(update={"epochs": 4})


@pytest.mark.parametrize(
    ("changes", "epochs", "message"),
    [
        ({}, 3, "must be more than the present 3, not 3"),
        ({}, 200_000, "less than or equal to 100000"),
        ({"method": "p-darts"}, 6, "the stages of p-darts divide the epochs"),
        ({"method": "rsps"}, 6, "the last epoch of rsps ends with the choice of the cell"),
        ({"method": "r-darts-es"}, 6, "r-darts-es goes back, or stops, by the epochs that there are"),
    ],
)
def test_an_extension_that_has_no_meaning_is_refused(
    changes: dict[str, Any], epochs: int, message: str, search_config: MakeSearch
) -> None:
    config = search_config(**{"primitives": None, "layers": 6, **changes})
    with pytest.raises(ConfigError) as refused:
        extended(config, 3, epochs)
    [problem] = refused.value.problems
    assert problem.loc == ("epochs",)
    assert message in problem.msg


def test_a_selection_has_its_own_epochs(search_config: MakeSearch) -> None:
    config = extended(search_config(), 3, 5)
    selection = perturbation_of(config, 5, {"select": "perturbation"})
    assert selection.extensions == []
    with pytest.raises(ConfigError, match="a selection ends with its cell's last edge"):
        extended(selection, 1, 500)


@pytest.mark.parametrize(
    ("extensions", "message"),
    [
        ([{"after": 3, "epochs": 2}], "after <= epochs"),
        ([{"after": 2, "epochs": 2}, {"after": 2, "epochs": 4}], "in order"),
        ([{"after": 2, "epochs": 3}, {"after": 3, "epochs": 3}], "in order"),
    ],
)
def test_extensions_in_a_spec_are_in_order(extensions: list[dict[str, int]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SearchConfig(dataset="digits", epochs=9, extensions=extensions)


def test_a_spec_has_more_epochs_than_before_its_last_extension() -> None:
    config: RunConfig = SearchConfig(dataset="digits", epochs=2, extensions=[{"after": 2, "epochs": 2}])
    with pytest.raises(ConfigError, match="must be more than the 2 before the last extension"):
        config.resolved()
