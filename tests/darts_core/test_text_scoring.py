"""Scores of language models, recomputed word by word."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from darts_core import run_rnn_evaluation
from darts_core.configs import RnnEvaluationConfig, RnnScoreConfig
from darts_core.configs.score import ScoredCheckpoint
from darts_core.data.text.corpus import load_text
from darts_core.data.text.windows import columns
from darts_core.errors import ConfigError
from darts_core.scoring.text import run_text_score
from darts_core.training.reports import EpochReport

WORDS = ["the", "a", "cat", "dog", "sees", "bites", "and", "or"]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, draw = tmp_path_factory.mktemp("texts"), random.Random(0)
    (root / "tiny").mkdir()
    for part, count in (("train", 36), ("valid", 18), ("test", 18)):
        lines = (" ".join(draw.choices(WORDS, k=5)) for _ in range(count))
        (root / "tiny" / f"{part}.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def trained(data_root: Path) -> EpochReport:
    config = RnnEvaluationConfig(
        dataset="folder:tiny",
        genotype="Genotype(recurrent=[('relu', 0), ('tanh', 1)], concat=[1, 2])",
        epochs=1,
        hidden_size=6,
        batch_size=4,
        bptt=9,
        validation_batch_size=3,
        test_batch_size=2,
    )
    (report,) = run_rnn_evaluation(config.resolved(), data_root=data_root)
    return report


@pytest.fixture(scope="module")
def file(trained: EpochReport, data_root: Path) -> Path:
    trained.save(data_root / "c.pt")
    return data_root / "c.pt"


def config(**changes: Any) -> RnnScoreConfig:
    checkpoint = ScoredCheckpoint(id="x", source="upload", sha256="0" * 64)
    return RnnScoreConfig(**{"dataset": "folder:tiny", "checkpoint": checkpoint, **changes})


def test_a_score_equals_the_trainings_report(trained: EpochReport, file: Path, data_root: Path) -> None:
    (report,) = run_text_score(config(), file, data_root=data_root)
    assert report.metrics["test_perplexity"] == pytest.approx(trained.metrics["test_perplexity"], rel=1e-5)
    assert report.metrics["test_loss"] == pytest.approx(trained.metrics["test_loss"], rel=1e-5)


def test_the_file_has_each_words_log_probability_in_the_texts_order(
    file: Path, data_root: Path, tmp_path: Path
) -> None:
    (report,) = run_text_score(config(batch_size=1), file, data_root=data_root)
    report.save(tmp_path / "words.safetensors")
    found = load_file(tmp_path / "words.safetensors")
    assert -found["log_probabilities"].double().mean().item() == report.metrics["test_loss"]
    assert found["targets"].tolist() == load_text("folder:tiny", data_root).parts["test"][1:].tolist()


def test_columns_follow_each_other_in_the_file(file: Path, data_root: Path) -> None:
    (report,) = run_text_score(config(batch_size=3), file, data_root=data_root)
    text = columns(load_text("folder:tiny", data_root).parts["test"], 3, "test")
    assert report.targets.view(3, -1).tolist() == text[1:].t().tolist()


def test_a_score_on_another_text_keeps_the_models_vocabulary(file: Path, data_root: Path) -> None:
    (data_root / "other").mkdir()
    for part in ("train", "valid", "test"):
        (data_root / "other" / f"{part}.txt").write_text("the cat knows everyone\n" * 30)
    (report,) = run_text_score(config(dataset="folder:other", batch_size=1), file, data_root=data_root)
    assert report.words == len(WORDS) + 2
    assert report.unknown == 2 * 30


def test_more_columns_than_the_text_has_words_for_are_refused() -> None:
    with pytest.raises(ConfigError, match="too large for the 82,430 words"):
        config(dataset="ptb", batch_size=40_000).resolved()
