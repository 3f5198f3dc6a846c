"""A score through a real worker, and its logits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard

TINY = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 1, "channels": 2, "layers": 3, "batch_size": 256}


@pytest.fixture(scope="module")
def evaluation(stack: LocalStack) -> JobOut:
    with Dartboard(stack.url) as dartboard:
        return dartboard.wait(dartboard.submit("evaluation", TINY))


@pytest.fixture(scope="module")
def score(stack: LocalStack, evaluation: JobOut) -> JobOut:
    with Dartboard(stack.url) as dartboard:
        ended = dartboard.wait(dartboard.submit("score", {"evaluation_id": str(evaluation.id)}))
    assert ended.status == "succeeded", ended.error
    return ended


def test_a_scores_accuracy_is_that_of_the_scoring_program(
    dartboard: Dartboard, evaluation: JobOut, score: JobOut, tmp_path: Path
) -> None:
    path = dartboard.download_checkpoint(evaluation.id, tmp_path)
    command = [sys.executable, "-m", "darts_core.scoring", str(path)]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert score.metrics is not None
    assert score.metrics["test_accuracy"] == said["accuracy"]
    assert score.metrics["test_loss"] == pytest.approx(said["loss"], rel=1e-5)


def test_a_scores_figures_follow_from_its_logits(dartboard: Dartboard, score: JobOut, tmp_path: Path) -> None:
    found = load_file(dartboard.download_logits(score.id, tmp_path))
    right = (found["logits"].argmax(1) == found["labels"]).sum().item()
    assert (score.metrics, score.result) != (None, None)
    assert score.metrics["test_accuracy"] == 100 * right / 360  # type: ignore[index]
    confusion = score.result["confusion"]  # type: ignore[index]
    assert sum(map(sum, confusion)) == 360
    assert sum(confusion[i][i] for i in range(10)) == right


def test_an_uploaded_copy_scores_the_same(
    dartboard: Dartboard, evaluation: JobOut, score: JobOut, tmp_path: Path
) -> None:
    uploaded = dartboard.upload_checkpoint(dartboard.download_checkpoint(evaluation.id, tmp_path))
    again = dartboard.wait(dartboard.submit("score", {"checkpoint_id": str(uploaded.id)}))
    assert again.metrics == score.metrics


def test_the_command_scores_a_job_and_downloads_its_logits(
    stack: LocalStack, evaluation: JobOut, score: JobOut, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "client.cli", "download", str(score.id), "--url", stack.url, "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (tmp_path / json.loads(answer.stdout)["file"]).suffix == ".safetensors"
    command = [sys.executable, "-m", "client.cli", "score", str(evaluation.id), "--url", stack.url]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "logits: ./dartboard download " in shown.stdout
