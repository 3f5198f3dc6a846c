"""Measures references for a step: the speed of a large matrix product, and the operations dispatched by torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.memory import GpuPeak, Peak
from darts_core.training.matmul_precision import tf32

Device = Literal["cpu", "cuda"]
Precision = Literal["float32", "tf32", "bf16"]
_SIDES: Final = {"cpu": 2048, "cuda": 8192}


@dataclass(frozen=True)
class Machine:
    """Device and precision of the timed steps."""

    device: Device = "cpu"
    precision: Precision = "float32"

    @property
    def steps(self) -> int:
        """Steps timed together: a GPU's step is short, and the CPU runs ahead of it."""
        return 5 if self.device == "cuda" else 1

    def wait(self) -> None:
        """Wait until the device is idle."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def peak(self) -> Peak | GpuPeak:
        """Peak use of the device's memory from now on."""
        return GpuPeak() if self.device == "cuda" else Peak()

    def product_speed(self) -> float:
        """Floating-point operations per second of one large square product; on CPUs with torch's threads."""
        side, dtype = _SIDES[self.device], torch.bfloat16 if self.precision == "bf16" else torch.float32
        # GPUs are faster on constant inputs.
        make = torch.randn if self.device == "cuda" else torch.ones
        a, b = make(2, side, side, device=self.device, dtype=dtype)
        out = torch.empty_like(a)
        with tf32(self.precision == "tf32"):
            torch.mm(a, b, out=out)
            self.wait()
            start = time.perf_counter()
            torch.mm(a, b, out=out)
            self.wait()
        return float(2 * side**3 / (time.perf_counter() - start))


def dispatched_operations(step: Callable[[], object]) -> int:
    """Number of operations that torch dispatches, including nested ones, views and our own kernels."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    assert profiler.profiler is not None
    # The raw events: `key_averages` builds a tree of Python objects first, which takes minutes.
    recorded = profiler.profiler.kineto_results.events()
    return sum(event.name().startswith(("aten::", "dartboard::")) for event in recorded)
