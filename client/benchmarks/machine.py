"""What a step is held against: the speed of a large matrix product, and what torch is asked to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import torch
from torch.profiler import ProfilerActivity, profile

_SIDE: Final = 2048


def matrix_product_speed() -> float:
    """Floating-point operations a second of one large square product, float32, with torch's threads."""
    a, b = torch.ones(2, _SIDE, _SIDE)
    out = torch.empty_like(a)
    torch.mm(a, b, out=out)
    start = time.perf_counter()
    torch.mm(a, b, out=out)
    return float(2 * _SIDE**3 / (time.perf_counter() - start))


def dispatched_operations(step: Callable[[], object]) -> int:
    """How many operations torch dispatches meanwhile: those inside of others, views and our own kernels included."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    return sum(entry.count for entry in profiler.key_averages() if entry.key.startswith(("aten::", "dartboard::")))
