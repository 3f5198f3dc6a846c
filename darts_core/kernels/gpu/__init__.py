"""Kernels for GPUs in Triton. A process that has not enabled them computes in torch's own operations."""

from __future__ import annotations

_enabled = False


def available() -> bool:
    """Whether this process computes with the kernels."""
    return _enabled


def enable() -> None:
    """Compute with the kernels from now on: for `start.enable_kernels`, which checks them."""
    global _enabled
    _enabled = True
