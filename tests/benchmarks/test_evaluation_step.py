"""`dartboard bench evaluation-step` at a tiny shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from client.cli import app

pytestmark = pytest.mark.slow

TINY = ["--batch", "4", "--channels", "4", "--layers", "3", "--pairs", "1", "--json"]


def bench(*options: str) -> dict[str, Any]:
    answer = CliRunner().invoke(app, ["bench", "evaluation-step", *TINY, *options], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout.splitlines()[-1])  # type: ignore[no-any-return]


@pytest.mark.parametrize("options", [(), ("--no-auxiliary", "--image", "16", "--genotype", "PC_DARTS")])
def test_both_versions_are_compared_and_have_the_same_loss(options: tuple[str, ...]) -> None:
    result = bench(*options)
    for name in ("plain_seconds", "fused_seconds", "speedup", "ops_ratio", "gemm_share"):
        assert result[name] > 0
    assert "memory_ratio" in result
    assert result["loss_difference"] < 1e-5


def test_one_version_can_be_measured_alone() -> None:
    result = bench("--fused")
    assert list(result["seconds"]) == ["fused"]
    assert "speedup" not in result


def test_auxiliary_head_on_small_images_is_refused() -> None:
    answer = CliRunner().invoke(app, ["bench", "evaluation-step", *TINY, "--image", "16"])
    assert answer.exit_code == 2
    assert "no-auxiliary" in answer.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("step", ["search-step", "evaluation-step", "rnn-step"])
def test_a_gpu_that_is_not_there_is_wrong_usage(step: str) -> None:
    answer = CliRunner().invoke(app, ["bench", step, "--device", "cuda"])
    assert answer.exit_code == 2
    assert "no CUDA device here: use cpu" in answer.stderr
