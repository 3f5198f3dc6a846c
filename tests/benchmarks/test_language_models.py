"""`dartboard bench language-models` on a text of a few hundred words."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks import language_models
from client.cli import app
from darts_core import run_rnn_evaluation
from darts_core.configs import RnnEvaluationConfig
from darts_core.errors import Diverged
from darts_core.training.reports import EpochReport

TINY = {"preset": "ptb", "hidden_size": 6, "bptt": 9, "batch_size": 4, "validation_batch_size": 3, "epochs": 2}
TRAINING = {**TINY, "test_batch_size": 2, "threads": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "tiny").mkdir()
    draw = random.Random(0)
    for part, count in (("train", 40), ("valid", 20), ("test", 20)):
        lines = (" ".join(draw.choices("abcdefghij", range(1, 11), k=5)) for _ in range(count))
        (root / "tiny" / f"{part}.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def result(root: Path) -> dict[str, Any]:
    command = ["bench", "language-models", "folder:tiny", "--rate", "1", "--rate", "5", "--seeds", "2", "--json"]
    specs = ["--search", json.dumps({**TINY, "nodes": 2, "threads": 1}), "--evaluation", json.dumps(TRAINING)]
    answer = CliRunner().invoke(app, [*command, *specs, "--data-root", str(root)], catch_exceptions=False)
    return json.loads(answer.stdout)  # type: ignore[no-any-return]


def test_the_lstm_has_about_the_parameters_of_the_cell(result: dict[str, Any]) -> None:
    assert result["lstm"]["parameters"] == pytest.approx(result["cell"]["parameters"], rel=0.15)


def test_the_cell_is_the_searchs(result: dict[str, Any]) -> None:
    ops = [op for op, _ in result["spec"]["genotype"]["recurrent"]]
    assert len(ops) == 2
    assert all(f"'{op}'" in result["search"]["genotype"] for op in ops)


@pytest.mark.parametrize("name", ["cell", "lstm"])
def test_the_rate_is_the_best_by_validation_and_serves_all_seeds(name: str, result: dict[str, Any]) -> None:
    row = result[name]
    tried = {trial["weight_lr"]: trial["validation_perplexity"] for trial in row["rates"]}
    assert tried.keys() == {1.0, 5.0}
    assert row["weight_lr"] == min(tried, key=lambda rate: tried[rate])
    assert [(run["seed"], run["weight_lr"]) for run in row["runs"]] == [(0, row["weight_lr"]), (1, row["weight_lr"])]


def test_the_text_is_named_by_its_checksum_and_the_predicted_words(result: dict[str, Any]) -> None:
    text = result["text"]
    assert len(text["checksum"]) == 64
    assert text["predicted"] == text["sizes"]["test"] // 2 * 2 - 2


def test_the_bigram_model_beats_guessing(result: dict[str, Any]) -> None:
    assert result["bigram"]["test_perplexity"] < result["text"]["sizes"]["vocabulary"]


def test_a_rate_that_diverges_is_not_taken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(config: RnnEvaluationConfig, **options: Any) -> Iterator[EpochReport]:
        if config.weight_lr == 5:
            raise Diverged("on purpose")
        return run_rnn_evaluation(config, **options)

    monkeypatch.setattr(language_models, "run_rnn_evaluation", train)
    spec = RnnEvaluationConfig(dataset="folder:tiny", genotype="DARTS_V2", **{**TRAINING, "epochs": 1})
    result = language_models.compare(spec, rates=[5.0, 1.0], seeds=[0, 1], data_root=root, say=print)
    assert result["cell"]["weight_lr"] == 1
    assert result["cell"]["rates"][0] == {"weight_lr": 5.0, "validation_perplexity": None}
