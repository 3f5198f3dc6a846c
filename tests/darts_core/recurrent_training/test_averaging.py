"""Averaged SGD: when it takes over, its mean, its checkpoints."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from darts_core import run_rnn_evaluation
from darts_core.files import checkpoints
from darts_core.training.averaging import optimizer_of, should_average
from tests.support.recurrent_runs import MakeEvaluation, loss_by_hand
from tests.support.same_bits import assert_same_bits


@pytest.mark.parametrize(
    ("history", "loss", "patience", "switches"),
    [
        ([5.0, 4.0, 3.0, 2.0, 1.0, 9.0], 5.1, 5, True),
        ([5.0, 4.0, 3.0, 2.0, 1.0, 9.0], 5.0, 5, False),  # only the losses of more than 5 epochs ago count
        ([5.0, 4.0, 3.0, 2.0, 1.0], 9.0, 5, False),  # too few
        ([3.0, 5.0], 4.0, 1, True),
        ([5.0, 3.0], 4.0, 1, False),
    ],
)
def test_non_monotone_rule(history: list[float], loss: float, patience: int, switches: bool) -> None:
    assert should_average(history, loss, patience) == switches


def test_averaging_takes_over_by_the_rule_and_stays(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    worsening += [3.0, 2.5, 3.1, 3.2, 1.0, 5.0]
    reports = list(run_rnn_evaluation(evaluation_config(epochs=6, averaging_patience=1), data_root=data_root))
    # 3.1 of the third epoch is worse than 3.0: the fourth is averaged, and a better one later changes nothing.
    assert [r.metrics["averaged"] for r in reports] == [0, 0, 0, 1, 1, 1]
    assert reports[-1].checkpoint["resume"]["best"]["epoch"] == 5


def test_averaged_weights_are_the_mean_of_all_weights_from_the_second_step_on() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = optimizer_of("asgd", [weight], lr=0.5, weight_decay=0.0)
    seen = []
    for gradient in (1.0, 4.0, -2.0):
        weight.grad = torch.tensor([gradient])
        optimizer.step()
        seen.append(weight.item())
    assert seen == [0.5, -1.5, -0.5]
    assert optimizer.state[weight]["ax"].item() == pytest.approx(sum(seen[1:]) / 2)


def test_a_changed_rate_reaches_averaged_sgd_one_step_late() -> None:
    weight = torch.nn.Parameter(torch.tensor([0.0]))
    optimizer = optimizer_of("asgd", [weight], lr=1.0, weight_decay=0.0)
    seen = []
    for rate in (1.0, 0.5, 0.25):
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.tensor([1.0])
        optimizer.step()
        seen.append(weight.item())
    assert seen == [-1.0, -2.0, -2.5]


def test_checkpoint_of_averaged_sgd_has_both_weight_sets(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    worsening += [1.0, 2.0, 3.0]
    reports = list(run_rnn_evaluation(evaluation_config(epochs=4, averaging_patience=1), data_root=data_root))
    plain, last = reports[0].checkpoint, reports[-1].checkpoint
    assert_same_bits(plain["weights"], plain["resume"]["training"]["weights"])
    training = last["resume"]["training"]
    assert training["optimizer_name"] == "asgd"
    assert last["weights"].keys() == training["weights"].keys()
    assert not torch.equal(last["weights"]["encoder.weight"], training["weights"]["encoder.weight"])
    assert torch.equal(last["weights"]["encoder.weight"], training["optimizer"]["state"][0]["ax"])


def test_last_epoch_is_validated_and_tested_with_the_weights_that_the_file_gives(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    config = evaluation_config(epochs=6, averaging_patience=1, weight_lr=60.0, grad_clip=1.0)
    last = list(run_rnn_evaluation(config, data_root=data_root))[-1]
    assert last.metrics["averaged"] == 1
    checkpoints.save(last.checkpoint, tmp_path / "c.pt")
    for metric, part, columns in (("validation", "valid", 3), ("test", "test", 2)):
        loss, tolerance = loss_by_hand(tmp_path / "c.pt", data_root / f"tiny/{part}.txt", columns)
        assert last.metrics[f"{metric}_loss"] == pytest.approx(loss, abs=tolerance)
        assert last.metrics[f"{metric}_perplexity"] == pytest.approx(math.exp(loss), rel=tolerance)


@pytest.mark.parametrize(
    ("validation", "best"),
    [([3.0, 2.0, 2.5], 2), ([3.0, 2.5, 3.1, 3.2, 1.0, 5.0], 5)],
    ids=["SGD", "averaged SGD"],
)
def test_best_test_perplexity_is_that_of_the_best_validated_epochs_own_file(
    validation: list[float],
    best: int,
    evaluation_config: MakeEvaluation,
    data_root: Path,
    tmp_path: Path,
    worsening: list[float],
) -> None:
    worsening += validation
    config = evaluation_config(epochs=len(validation), averaging_patience=1, weight_lr=60.0, grad_clip=1.0)
    reports = list(run_rnn_evaluation(config, data_root=data_root))
    last = reports[-1].metrics
    assert last["best_epoch"] == best
    found = []
    for report, name in ((reports[best - 1], "best_test"), (reports[-1], "test")):
        checkpoints.save(report.checkpoint, tmp_path / "c.pt")
        loss, tolerance = loss_by_hand(tmp_path / "c.pt", data_root / "tiny/test.txt", columns=2)
        assert last[f"{name}_loss"] == pytest.approx(loss, abs=tolerance)
        assert last[f"{name}_perplexity"] == pytest.approx(math.exp(loss), rel=tolerance)
        found.append(loss)
    assert abs(found[0] - found[1]) > 100 * tolerance  # or the one could be the other
    assert all("best_test_perplexity" not in report.metrics for report in reports[:-1])
