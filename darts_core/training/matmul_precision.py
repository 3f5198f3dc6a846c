"""Precision of matrix products and convolutions: TF32 on GPUs, bf16 under autocast, or the tensors' own type."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def tf32(wanted: bool) -> Iterator[None]:
    """Allow or forbid products with 10 bits of mantissa on GPUs while it is open; then restore the previous setting.

    Our Triton kernels read the same flag.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = wanted
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute in the tensors' own type while it is open, without autocast and TF32.

    For differences of gradients: a finite difference moves each weight by less than bf16 or TF32 can tell apart.
    """
    with torch.autocast(device.type, enabled=False), tf32(wanted=False):
        yield
