"""Provides Triton kernels for GPUs. A run enables them when they pass its self-test; else torch computes.

Importing it needs no Triton.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_enabled = False
_failure: str | None = None


def available() -> bool:
    """Whether this process uses the kernels."""
    return _enabled


def serves(x: Tensor) -> bool:
    """Whether the kernels compute on the device of this tensor."""
    return _enabled and x.is_cuda


def failure() -> str | None:
    """Why the kernels are not used although the last run wanted them: one sentence. None if they are, or none did."""
    return _failure


def enable() -> None:
    """Use the kernels in this process. Only `start.enable_kernels` calls it, after a check."""
    global _enabled, _failure
    _enabled, _failure = True, None


def disable(failure: str | None = None) -> None:
    """Use torch's operations in this process until a run enables the kernels again. failure: see `failure`."""
    global _enabled, _failure
    _enabled, _failure = False, failure


def compile_errors() -> tuple[type[Exception], ...]:
    """Return the base class of Triton's errors, which are no RuntimeErrors; nothing without Triton."""
    try:
        from triton.errors import TritonError
    except ImportError:
        return ()
    return (TritonError,)


def cause(error: BaseException) -> str:
    """Name an error of Triton or its compilers in one line; their messages hold whole listings."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}"[:300].removesuffix(": ")
