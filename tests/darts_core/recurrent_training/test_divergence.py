"""Numbers that are not finite: a rollback to the best epoch, or an error."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from darts_core import run_rnn_evaluation, run_rnn_search
from darts_core.errors import Diverged
from darts_core.training.averaging import should_average
from tests.support.recorder import Recorder, through_a_file
from tests.support.recurrent_runs import MakeEvaluation, MakeSearch
from tests.support.same_bits import assert_same_bits


def test_numbers_that_are_not_finite_put_the_best_epoch_back_and_say_so(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    worsening += [3.0, 2.0, 2.5, math.nan, 2.0, 1.9]
    reports = list(run_rnn_evaluation(evaluation_config(epochs=5), data_root=data_root))
    fourth = reports[3]
    assert fourth.metrics["rolled_back_to"] == 2
    assert "train_loss" not in fourth.metrics
    assert_same_bits(fourth.checkpoint["weights"], reports[1].checkpoint["weights"])
    assert_same_bits(fourth.checkpoint["resume"]["training"], reports[1].checkpoint["resume"]["training"])
    assert "rolled_back_to" not in reports[4].metrics
    assert reports[4].checkpoint["resume"]["rollbacks"] == 0


def test_rolling_back_survives_a_resume_bit_for_bit(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path, worsening: list[float]
) -> None:
    config, script = evaluation_config(epochs=4), [3.0, 2.0, 2.5, math.nan, 2.0]
    worsening += script
    undisturbed = list(run_rnn_evaluation(config, data_root=data_root))
    worsening[:] = script[3:]
    saved = through_a_file(undisturbed[2], tmp_path)
    (resumed,) = run_rnn_evaluation(config, data_root=data_root, resume_from=saved)
    assert_same_bits(undisturbed[3].checkpoint, resumed.checkpoint)


def test_a_rollback_under_averaged_sgd_goes_on_from_the_best_epochs_own_weights_with_the_next_epochs_draws(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    config, best, rolled_back = evaluation_config(epochs=6, averaging_patience=1), 4, 5
    worsening += [3.0, 2.5, 3.1, 1.0, math.nan, 1.0, 2.0]
    reports = list(run_rnn_evaluation(config, data_root=data_root))
    assert [r.metrics.get("rolled_back_to") for r in reports] == [None] * 4 + [best, None]
    assert reports[rolled_back - 1].metrics["averaged"] == 1
    of_best = reports[best - 1].checkpoint
    own, put_back = (r.checkpoint["resume"]["training"] for r in (reports[best - 1], reports[rolled_back - 1]))
    assert_same_bits(own, put_back)
    assert not torch.equal(put_back["weights"]["encoder.weight"], of_best["weights"]["encoder.weight"])
    # An undisturbed run that the same draws follow on the best epoch.
    worsening[:] = [2.0]
    (undisturbed,) = run_rnn_evaluation(config, data_root=data_root, resume_from={**of_best, "epoch": rolled_back})
    assert_same_bits(undisturbed.checkpoint["resume"]["training"], reports[-1].checkpoint["resume"]["training"])
    assert_same_bits(undisturbed.checkpoint["weights"], reports[-1].checkpoint["weights"])


def test_a_rollback_forgets_the_validation_losses_behind_the_best_epoch(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    kept, forgotten, next_one = [3.0, 2.0], 2.5, 2.7
    assert should_average([*kept, forgotten], next_one, 1)
    worsening += [*kept, forgotten, math.nan, 2.0, next_one, 2.6]
    reports = list(run_rnn_evaluation(evaluation_config(epochs=6, averaging_patience=1), data_root=data_root))
    assert reports[3].metrics["rolled_back_to"] == 2
    histories = [r.checkpoint["resume"]["training"]["history"] for r in reports[2:5]]
    assert histories == [[*kept, forgotten], kept, [*kept, next_one]]
    assert reports[5].metrics["averaged"] == 0


def test_an_epoch_with_a_batch_that_is_not_finite_is_trained_to_its_end_and_then_taken_back(
    evaluation_config: MakeEvaluation, data_root: Path, a_batch_that_is_not_finite: Callable[[int], None]
) -> None:
    a_batch_that_is_not_finite(2)
    control = Recorder()
    reports = list(run_rnn_evaluation(evaluation_config(), data_root=data_root, control=control))
    assert [r.metrics.get("rolled_back_to") for r in reports] == [None, 1, None]
    told = [progress for progress in control.told if progress.epoch == 2]
    assert [progress.step for progress in told] == list(range(1, told[0].steps + 1))


@pytest.mark.parametrize("kind", ["search", "evaluation"])
def test_divergence_in_the_first_epoch_is_raised_at_its_end(
    kind: str,
    search_config: MakeSearch,
    evaluation_config: MakeEvaluation,
    data_root: Path,
    a_batch_that_is_not_finite: Callable[[int], None],
) -> None:
    a_batch_that_is_not_finite(1)
    control = Recorder()
    if kind == "search":
        reports = run_rnn_search(search_config(), data_root=data_root, control=control)
    else:
        reports = run_rnn_evaluation(evaluation_config(), data_root=data_root, control=control)
    with pytest.raises(Diverged, match="epoch 1: train_loss is nan"):
        list(reports)
    assert [progress.step for progress in control.told] == list(range(1, control.told[0].steps + 1))


def test_divergence_without_a_good_epoch_or_again_and_again_is_an_error(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    worsening += [math.nan]
    with pytest.raises(Diverged, match=r"epoch 1: validation_loss is nan.*lower weight_lr"):
        list(run_rnn_evaluation(evaluation_config(), data_root=data_root))
    worsening[:] = [3.0, *[math.nan, 3.0] * 4]
    with pytest.raises(Diverged, match="epoch 5"):
        list(run_rnn_evaluation(evaluation_config(epochs=9), data_root=data_root))
