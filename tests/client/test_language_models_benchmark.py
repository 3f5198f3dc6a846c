"""`dartboard bench language-models` on a text of a few hundred words."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from typer.testing import CliRunner

from client.cli import app

TINY = {"preset": "ptb", "hidden_size": 6, "bptt": 9, "batch_size": 4, "validation_batch_size": 3, "epochs": 2}
TRAINING = {**TINY, "test_batch_size": 2, "threads": 1}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("data")
    (root / "tiny").mkdir()
    draw = random.Random(0)
    for part, count in (("train", 40), ("valid", 20), ("test", 20)):
        lines = (" ".join(draw.choices("abcdefghij", range(1, 11), k=5)) for _ in range(count))
        (root / "tiny" / f"{part}.txt").write_text("\n".join(lines) + "\n")
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


def test_the_text_is_named_by_its_checksum_and_what_was_predicted(result: dict[str, Any]) -> None:
    text = result["text"]
    assert len(text["checksum"]) == 64
    assert text["predicted"] == text["sizes"]["test"] // 2 * 2 - 2


def test_the_bigram_model_beats_guessing(result: dict[str, Any]) -> None:
    assert result["bigram"]["test_perplexity"] < result["text"]["sizes"]["vocabulary"]
