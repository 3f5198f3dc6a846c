"""Precision of matrix products and convolutions: TF32 on GPUs, bf16 under autocast, or the tensors' own type."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import torch

_TF32: Final = "tf32"


@contextlib.contextmanager
def tf32(wanted: bool) -> Iterator[None]:
    """Allow or forbid products with 10 bits of mantissa on GPUs while it is open; then restore the previous setting.

    Our Triton kernels read the same flag.
    """
    backends = torch.backends
    parts = backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn  # type: ignore[attr-defined]
    before = [part.fp32_precision for part in parts]
    _allow(wanted, wanted)
    try:
        yield
    finally:
        _allow(before[0] == _TF32, before[1] == _TF32)
        for part, setting in zip(parts, before, strict=True):
            part.fp32_precision = setting


def _allow(products: bool, convolutions: bool) -> None:
    # These older switches move the newer ones, too. Reading them raises once a library has moved the newer ones alone.
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = products, convolutions


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute in the tensors' own type while it is open, without autocast and TF32.

    For differences of gradients: a finite difference moves each weight by less than bf16 or TF32 can tell apart.
    """
    with torch.autocast(device.type, enabled=False), tf32(wanted=False):
        yield
