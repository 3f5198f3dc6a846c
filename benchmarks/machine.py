"""What a step is held against: the speed of a large matrix product, and what torch is asked to do."""

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
    """Where steps are timed, and in which numbers."""

    device: Device = "cpu"
    precision: Precision = "float32"

    @property
    def steps(self) -> int:
        """How many are timed together: a GPU's step is short, and the CPU runs ahead of it."""
        return 5 if self.device == "cuda" else 1

    def wait(self) -> None:
        """Until all that was asked of the device is done."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def peak(self) -> Peak | GpuPeak:
        """Of the memory that matters there, counted from now on."""
        return GpuPeak() if self.device == "cuda" else Peak()

    def product_speed(self) -> float:
        """Floating-point operations a second of one large square product, on CPUs with torch's threads."""
        side, dtype = _SIDES[self.device], torch.bfloat16 if self.precision == "bf16" else torch.float32
        # GPUs are faster on ones than on numbers that are not all alike.
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
    """How many operations torch dispatches meanwhile: those inside of others, views and our own kernels included."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    assert profiler.profiler is not None
    # As they were recorded: `key_averages` makes a tree of Python objects of them first, which takes minutes.
    recorded = profiler.profiler.kineto_results.events()
    return sum(event.name().startswith(("aten::", "dartboard::")) for event in recorded)
