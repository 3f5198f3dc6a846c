"""`dartboard bench rnn-step` at tiny shapes."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Literal

import pytest
from typer.testing import CliRunner

from benchmarks.pairs import ON_GPUS
from benchmarks.rnn_step import Shape, measure
from client.cli import app

pytestmark = pytest.mark.slow

TINY = ["--batch", "3", "--size", "5", "--bptt", "4", "--words", "11", "--pairs", "2", "--json"]


@cache
def bench(*options: str) -> dict[str, Any]:
    answer = CliRunner().invoke(app, ["bench", "rnn-step", *TINY, *options], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout.splitlines()[-1])  # type: ignore[no-any-return]


@pytest.mark.parametrize("options", [("--order", "2"), ("--network", "retrain")])
def test_both_versions_are_compared_and_have_the_same_loss(options: tuple[str, ...]) -> None:
    result = bench(*options)
    for name in ("plain_seconds", "fused_seconds", "speedup", "ops_ratio", "gemm_share", "gemm_gflops"):
        assert result[name] > 0
    assert "memory_ratio" in result
    assert result["loss_difference"] < 1e-5
    assert [len(result["seconds"][version]) for version in ("plain", "fused")] == [2, 2]


def test_one_version_can_be_measured_alone() -> None:
    result = bench("--order", "0", "--fused")
    assert list(result["seconds"]) == ["fused"]
    assert "speedup" not in result


@pytest.mark.parametrize(("network", "order"), [("search", 0), ("search", 2), ("retrain", 0)])
def test_the_graphed_step_that_a_gpu_has_besides_is_the_fast_one(
    network: Literal["search", "retrain"], order: Literal[0, 2]
) -> None:
    """On the CPU, where nothing is recorded, it is called."""
    shape = Shape(network, batch=3, size=5, bptt=4, words=11, order=order, genotype="DARTS_V2")
    result = measure(shape, pairs=1, versions=ON_GPUS, say=lambda _: None)
    assert result["graphed_loss"] == result["fused_loss"]
    for name in ("graphed_speedup", "graphed_tokens_per_second"):
        assert result[name] > 0


def test_a_steps_matrix_products_are_counted() -> None:
    batch, size, bptt, words, nodes = 3, 5, 4, 11, 8
    cell = bptt * (2 * batch * 2 * size * 2 * size + nodes * 2 * batch * size * 2 * size)
    decoder = 2 * bptt * batch * size * words
    # Forth, and back to inputs and to weights; but not to the hidden state before the window.
    before = 2 * batch * size * 2 * size
    assert bench("--network", "retrain")["step_gflop"] * 1e9 == pytest.approx(3 * (cell + decoder) - before)
