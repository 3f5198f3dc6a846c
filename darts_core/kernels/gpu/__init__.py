"""Provides Triton kernels for GPUs. Each process enables them; otherwise torch operations are used."""

from __future__ import annotations

_enabled = False


def available() -> bool:
    """Whether this process uses the kernels."""
    return _enabled


def enable() -> None:
    """Enable the kernels in this process. Only `start.enable_kernels` calls it, after a check."""
    global _enabled
    _enabled = True
