from __future__ import annotations

from typing import Literal

import pytest

from benchmarks.search_step import Shape, measure
from darts_core.configs.method_fields import MethodName
from darts_core.kernels import loader

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("order", "method"), [(1, "darts"), (2, "darts"), (1, "pc-darts")])
def test_both_versions_are_compared_and_have_the_same_loss(order: Literal[1, 2], method: MethodName) -> None:
    shape = Shape(batch=4, channels=4, layers=3, order=order, image=8, tuned=order == 2, method=method)
    result = measure(shape, pairs=1, say=lambda _: None)
    assert {"plain_seconds", "fused_seconds", "speedup", "memory_ratio", "ops_ratio", "gemm_share"} <= result.keys()
    assert result["loss_difference"] < 1e-4
    assert result["ops_ratio"] > 0
    if loader.available():  # without kernels torch's operations are smaller and more
        assert result["ops_ratio"] < 1
