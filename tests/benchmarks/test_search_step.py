from __future__ import annotations

import pytest

from benchmarks.search_step import Shape, measure
from darts_core.kernels import build

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("order", [1, 2])
def test_both_versions_are_compared_and_have_the_same_loss(order: int) -> None:
    shape = Shape(batch=4, channels=4, layers=3, order=order, image=8, tuned=order == 2)  # type: ignore[arg-type]
    result = measure(shape, pairs=1, say=lambda _: None)
    assert {"plain_seconds", "fused_seconds", "speedup", "memory_ratio", "ops_ratio", "gemm_share"} <= result.keys()
    assert result["loss_difference"] < 1e-4
    assert result["ops_ratio"] > 0
    if build.available():  # without kernels torch's operations are smaller and more
        assert result["ops_ratio"] < 1
