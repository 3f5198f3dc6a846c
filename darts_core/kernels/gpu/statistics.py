"""The running statistics of many BatchNorms after a batch, in one kernel."""

# ruff: noqa: N803 - capitals are what is known when a kernel is compiled, as is usual in Triton.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from typing import Final

import triton
import triton.language as tl
from torch import Tensor

_BLOCK: Final = 256


def track(
    running: tuple[Tensor, Tensor, Tensor], mean: Tensor, variance: Tensor, momentum: float, unbiased: float
) -> None:
    """running: means and variances (norms, C), counts (norms, 1), each dense. mean, variance (biased): (norms, C)."""
    means, variances, counts = running
    numbers = means.numel()
    _track[(triton.cdiv(numbers, _BLOCK),)](
        means, variances, counts, mean, variance, momentum, unbiased, numbers, counts.numel(), means.shape[1],
        mean.stride(0), mean.stride(1), variance.stride(0), variance.stride(1), BLOCK=_BLOCK,
    )  # fmt: skip


@triton.jit(do_not_specialize=("numbers", "norms", "channels", "mn", "mc", "vn", "vc"))
def _track(
    means, variances, counts, mean, variance, momentum, unbiased, numbers, norms, channels, mn, mc, vn, vc,
    BLOCK: tl.constexpr,
):  # fmt: skip
    number = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = number < numbers
    norm, channel = number // channels, number % channels
    before = tl.load(means + number, mask=there, other=0)
    now = tl.load(mean + norm * mn + channel * mc, mask=there, other=0).to(before.dtype)
    tl.store(means + number, before + momentum * (now - before), mask=there)
    before = tl.load(variances + number, mask=there, other=0)
    now = (tl.load(variance + norm * vn + channel * vc, mask=there, other=0) * unbiased).to(before.dtype)
    tl.store(variances + number, before + momentum * (now - before), mask=there)
    # Fewer than there are numbers.
    counted = number < norms
    tl.store(counts + number, tl.load(counts + number, mask=counted, other=0) + 1, mask=counted)
