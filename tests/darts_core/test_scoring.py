"""Scores: figures that follow from the logits, by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from darts_core import run_evaluation, run_score
from darts_core.configs import EvaluationConfig, ScoreConfig
from darts_core.errors import ConfigError, DataError, Stopped
from darts_core.files import checkpoints
from darts_core.scoring.images import score, summarised
from tests.support.recorder import Recorder

CHECKPOINT: dict[str, Any] = {"id": "x", "source": "upload", "sha256": "0" * 64}


@pytest.fixture
def file(evaluation_config: Callable[..., EvaluationConfig], data_root: Path, tmp_path: Path) -> Path:
    [report] = run_evaluation(evaluation_config(epochs=1), data_root=data_root)
    checkpoints.save(report.checkpoint, tmp_path / "trained.pt")
    return tmp_path / "trained.pt"


def test_a_score_agrees_with_the_scoring_program(file: Path, data_root: Path) -> None:
    config = ScoreConfig(dataset="folder:tiny", checkpoint=CHECKPOINT, batch_size=3).resolved()
    [report] = run_score(config, file, data_root=data_root)
    measured = score(file, data_root)
    assert report.metrics["test_accuracy"] == measured.accuracy
    assert report.metrics["test_loss"] == pytest.approx(measured.loss, rel=1e-5)
    assert report.classes == ("dark", "light")


def test_every_figure_follows_from_the_logits() -> None:
    logits = torch.tensor([[9.0, 0, 0], [9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0]])
    report = summarised(logits, torch.tensor([0, 0, 0, 1]), ("a", "b", "c"), 1.0)
    assert report.confusion == [[2, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert report.per_class == [pytest.approx(200 / 3), 0.0, None]
    assert report.metrics["test_accuracy"] == 50.0
    assert "test_top5" not in report.metrics


def test_top_5_counts_the_five_largest_where_there_are_more_classes() -> None:
    logits = torch.arange(7.0).repeat(3, 1)
    report = summarised(logits, torch.tensor([6, 2, 1]), tuple("abcdefg"), 1.0)
    assert report.metrics["test_top5"] == pytest.approx(200 / 3)


def test_a_large_confusion_matrix_is_left_out() -> None:
    report = summarised(torch.zeros(2, 101), torch.tensor([0, 1]), tuple(map(str, range(101))), 1.0)
    assert report.confusion is None
    assert len(report.per_class) == 101


def test_logits_and_labels_are_saved_as_they_are(tmp_path: Path) -> None:
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    summarised(logits, labels, ("a", "b", "c"), 1.0).save(tmp_path / "x.safetensors")
    found = load_file(tmp_path / "x.safetensors")
    assert torch.equal(found["logits"], logits)
    assert torch.equal(found["labels"], labels)


def test_a_data_set_with_other_classes_is_refused_with_both(file: Path, data_root: Path) -> None:
    config = ScoreConfig(dataset="digits", checkpoint=CHECKPOINT).resolved()
    with pytest.raises(DataError, match=r"2 classes \(dark, light\), digits has 10 classes"):
        list(run_score(config, file, data_root=data_root))


def test_a_data_set_of_another_number_of_classes_is_refused_at_the_door() -> None:
    with pytest.raises(ConfigError, match="digits has 10 classes, the checkpoint has 2"):
        ScoreConfig(dataset="digits", checkpoint={**CHECKPOINT, "classes": 2}).resolved()


def test_a_score_stops_between_two_batches(file: Path, data_root: Path) -> None:
    config = ScoreConfig(dataset="folder:tiny", checkpoint=CHECKPOINT).resolved()
    with pytest.raises(Stopped):
        list(run_score(config, file, data_root=data_root, control=Recorder(stop_after=0)))
