"""A run that is killed in the middle of an epoch goes on from there, to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darts_core import run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.errors import Stopped
from darts_core.files import checkpoints
from darts_core.files.checkpoints import Checkpoint
from tests.support.recorder import AT_EVERY_STEP, Recorder
from tests.support.same_bits import assert_same_bits


def killed_in_the_middle(runner: Callable[..., Any], config: Any, data_root: Path, folder: Path) -> Checkpoint:
    """The newest checkpoint of a run that was stopped after the first step of its second epoch, out of a file."""
    control = Recorder()
    reports = runner(config, data_root=data_root, control=control)
    next(reports)
    control.stop_after = control.asked + 1
    with pytest.raises(Stopped):
        next(reports)
    checkpoints.save(control.kept[-1], folder / "middle.pt")
    return checkpoints.read(folder / "middle.pt")


@pytest.mark.parametrize("order", [1, 2])
def test_a_search_killed_in_the_middle_of_an_epoch_ends_bit_for_bit_like_an_undisturbed_one(
    order: int, search_config: Callable[..., SearchConfig], data_root: Path, tmp_path: Path
) -> None:
    config = search_config(order=order, epochs=2, cutout=3, checkpoint_seconds=AT_EVERY_STEP)
    undisturbed = list(run_search(config, data_root=data_root))
    middle = killed_in_the_middle(run_search, config, data_root, tmp_path)
    steps = undisturbed[0].checkpoint["resume"]["step"]
    assert (middle["epoch"], middle["resume"]["step"]) == (1, steps + 1)
    [resumed] = run_search(config, data_root=data_root, resume_from=middle)
    assert_same_bits(undisturbed[1].checkpoint, resumed.checkpoint)
    assert resumed.metrics == undisturbed[1].metrics


def test_an_evaluation_killed_in_the_middle_of_an_epoch_ends_bit_for_bit_like_an_undisturbed_one(
    evaluation_config: Callable[..., EvaluationConfig], data_root: Path, tmp_path: Path
) -> None:
    config = evaluation_config(epochs=2, checkpoint_seconds=AT_EVERY_STEP)
    undisturbed = list(run_evaluation(config, data_root=data_root))
    middle = killed_in_the_middle(run_evaluation, config, data_root, tmp_path)
    [resumed] = run_evaluation(config, data_root=data_root, resume_from=middle)
    assert_same_bits(undisturbed[1].checkpoint, resumed.checkpoint)
    assert resumed.metrics == undisturbed[1].metrics


def test_a_run_killed_in_its_first_epoch_resumes_there(
    evaluation_config: Callable[..., EvaluationConfig], data_root: Path
) -> None:
    config = evaluation_config(epochs=1, checkpoint_seconds=AT_EVERY_STEP)
    control = Recorder(1)
    with pytest.raises(Stopped):
        list(run_evaluation(config, data_root=data_root, control=control))
    [middle] = control.kept
    assert middle["epoch"] == 0
    [undisturbed] = run_evaluation(config, data_root=data_root)
    [resumed] = run_evaluation(config, data_root=data_root, resume_from=middle)
    assert_same_bits(undisturbed.checkpoint, resumed.checkpoint)


def test_a_run_that_is_stopped_hands_over_where_it_stands(
    evaluation_config: Callable[..., EvaluationConfig], data_root: Path
) -> None:
    config = evaluation_config(epochs=1)
    control = Recorder(1)
    with pytest.raises(Stopped):
        list(run_evaluation(config, data_root=data_root, control=control))
    [middle] = control.kept
    assert middle["resume"]["open"]["steps"] == 1
    [undisturbed] = run_evaluation(config, data_root=data_root)
    [resumed] = run_evaluation(config, data_root=data_root, resume_from=middle)
    assert_same_bits(undisturbed.checkpoint, resumed.checkpoint)


def test_seconds_of_the_interrupted_run_count(
    evaluation_config: Callable[..., EvaluationConfig], data_root: Path
) -> None:
    config = evaluation_config(epochs=1, checkpoint_seconds=AT_EVERY_STEP)
    control = Recorder(1)
    with pytest.raises(Stopped):
        list(run_evaluation(config, data_root=data_root, control=control))
    [middle] = control.kept
    middle["resume"]["open"]["seconds"] = 1000.0
    [resumed] = run_evaluation(config, data_root=data_root, resume_from=middle)
    assert resumed.seconds > 1000


def test_a_short_epoch_is_not_saved_in_its_middle(
    evaluation_config: Callable[..., EvaluationConfig], data_root: Path
) -> None:
    control = Recorder()
    list(run_evaluation(evaluation_config(epochs=1), data_root=data_root, control=control))
    assert not control.kept


def test_when_to_save_may_differ_between_a_checkpoint_and_the_run_that_resumes(
    evaluation_config: Callable[..., EvaluationConfig], data_root: Path
) -> None:
    first = next(iter(run_evaluation(evaluation_config(epochs=2), data_root=data_root)))
    other = evaluation_config(epochs=2, checkpoint_seconds=5, checkpoint_every=1)
    assert [r.epoch for r in run_evaluation(other, data_root=data_root, resume_from=first.checkpoint)] == [2]
