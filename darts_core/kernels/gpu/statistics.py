"""Updates the running statistics of many BatchNorms in one kernel."""

# ruff: noqa: N803 - capitals are compile-time constants, by Triton's convention.

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
    """Update dense running means and variances (norms, C) and counts (norms, 1). mean, variance (biased): (norms, C).

    unbiased: factor from biased to unbiased variance.
    """
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
    # There is one count per norm.
    counted = number < norms
    tl.store(counts + number, tl.load(counts + number, mask=counted, other=0) + 1, mask=counted)
