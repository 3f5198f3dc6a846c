"""The loops of recurrent cells resume to the bit, also across the switch to averaging."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from darts_core import run_rnn_evaluation, run_rnn_search
from darts_core.configs.extensions import extended
from darts_core.configs.method_fields import MethodName
from darts_core.errors import CheckpointError
from darts_core.files import checkpoints
from tests.support.recorder import Recorder, through_a_file
from tests.support.recurrent_runs import MakeEvaluation, MakeSearch
from tests.support.same_bits import assert_same_bits


@pytest.mark.parametrize("order", [1, 2])
def test_resumed_search_equals_the_undisturbed_one_bit_for_bit(
    order: int, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(order=order)
    undisturbed = list(run_rnn_search(config, data_root=data_root))
    torch.rand(7)  # what others draw must not matter
    saved = through_a_file(undisturbed[0], tmp_path)
    resumed = list(run_rnn_search(config, data_root=data_root, resume_from=saved))
    assert [r.epoch for r in resumed] == [2, 3]
    for before, after in zip(undisturbed[1:], resumed, strict=True):
        assert_same_bits(before.checkpoint, after.checkpoint)
        assert_same_bits(before.alphas, after.alphas)
        assert before.genotype == after.genotype


def test_resumed_evaluation_equals_the_undisturbed_one_across_the_switch_to_averaging(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    # At this rate validation soon gets worse.
    config = evaluation_config(epochs=5, averaging_patience=1, weight_lr=60.0, grad_clip=1.0, small_batch_size=2)
    undisturbed = list(run_rnn_evaluation(config, data_root=data_root))
    averaged = [r.metrics["averaged"] for r in undisturbed]
    switch = averaged.index(1.0)
    assert 1 < switch < 4
    # Just before the epoch that decides for it, right behind it, and with means gathered.
    for stopped_after in (switch - 1, switch, switch + 1):
        saved = through_a_file(undisturbed[stopped_after - 1], tmp_path)
        resumed = list(run_rnn_evaluation(config, data_root=data_root, resume_from=saved))
        assert [r.epoch for r in resumed] == list(range(stopped_after + 1, 6))
        for before, after in zip(undisturbed[stopped_after:], resumed, strict=True):
            assert_same_bits(before.checkpoint, after.checkpoint)


def test_search_goes_on_from_the_middle_of_an_epoch_to_the_same_bits(
    search_config: MakeSearch, data_root: Path
) -> None:
    control = Recorder()
    config = search_config(epochs=2, checkpoint_seconds=1e-9)
    undisturbed = list(run_rnn_search(config, data_root=data_root, control=control))
    middle = control.kept[len(control.kept) // 2]
    resumed = list(run_rnn_search(config, data_root=data_root, resume_from=middle))
    assert_same_bits(undisturbed[-1].checkpoint, resumed[-1].checkpoint)
    assert undisturbed[-1].metrics == resumed[-1].metrics


def test_evaluation_goes_on_from_the_middle_of_an_averaged_epoch_to_the_same_bits(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    control = Recorder()
    config = evaluation_config(epochs=4, averaging_patience=1, small_batch_size=2, checkpoint_seconds=1e-9)
    worsening += [1.0, 2.0, 3.0]
    undisturbed = list(run_rnn_evaluation(config, data_root=data_root, control=control))
    middle = [c for c in control.kept if c["epoch"] == 3][1]
    assert middle["resume"]["training"]["optimizer_name"] == "asgd"
    (resumed,) = run_rnn_evaluation(config, data_root=data_root, resume_from=middle)
    assert_same_bits(undisturbed[-1].checkpoint, resumed.checkpoint)


def test_resuming_does_not_write_into_the_checkpoint(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    config = evaluation_config(epochs=2)
    first = next(run_rnn_evaluation(config, data_root=data_root)).checkpoint
    copy = checkpoints.on_cpu(first)
    list(run_rnn_evaluation(config, data_root=data_root, resume_from=first))
    assert_same_bits(first, copy)


def test_resume_on_a_changed_text_is_refused(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    saved = next(run_rnn_evaluation(evaluation_config(), data_root=data_root)).checkpoint
    with (data_root / "tiny/train.txt").open("a") as file:
        file.write("the cat\n")
    with pytest.raises(CheckpointError, match="text_checksum"):
        run_rnn_evaluation(evaluation_config(), data_root=data_root, resume_from=saved)


@pytest.mark.parametrize("method", ["darts", "beta-darts"])
def test_an_extended_search_equals_an_undisturbed_one_with_the_same_extension(
    method: MethodName, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(epochs=2, method=method)
    longer = extended(config, 2, 4)
    first = list(run_rnn_search(config, data_root=data_root))
    second = list(run_rnn_search(longer, data_root=data_root, resume_from=through_a_file(first[-1], tmp_path)))
    undisturbed = list(run_rnn_search(longer, data_root=data_root))
    assert [report.metrics for report in (*first, *second)] == [report.metrics for report in undisturbed]
    assert_same_bits(second[-1].checkpoint, undisturbed[-1].checkpoint)


def test_an_extended_evaluation_is_tested_at_both_ends(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    config = evaluation_config(epochs=2)
    longer = extended(config, 2, 3)
    first = list(run_rnn_evaluation(config, data_root=data_root))
    second = list(run_rnn_evaluation(longer, data_root=data_root, resume_from=through_a_file(first[-1], tmp_path)))
    undisturbed = list(run_rnn_evaluation(longer, data_root=data_root))
    assert ["test_perplexity" in report.metrics for report in undisturbed] == [False, True, True]
    assert [report.metrics for report in (*first, *second)] == [report.metrics for report in undisturbed]
    assert_same_bits(second[-1].checkpoint, undisturbed[-1].checkpoint)
