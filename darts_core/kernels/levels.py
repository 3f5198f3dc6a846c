"""Defines the processor levels of the CPU kernels and checks this processor's support for them."""

from __future__ import annotations

import contextlib
import platform
from pathlib import Path
from typing import Final

NATIVE: Final = "native"
FLAGS: Final = {
    NATIVE: "-march=native",
    "v2": "-march=x86-64-v2",
    "v3": "-march=x86-64-v3",
    "v4": "-march=x86-64-v4",
}
"""Compiler flag by level. v2 to v4 are the x86-64 psABI's microarchitecture levels (SSE4.2, AVX2, AVX-512)."""

# Names as in /proc/cpuinfo; a level also needs the features of those before it.
_NEEDED: Final = {
    "v2": ("cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"),
    "v3": ("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"),
    "v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}


def lacking(level: str) -> list[str]:
    """Return the processor features that `level` requires and this processor lacks.

    Raises:
        ValueError: This machine is not x86-64, or does not report its features.
    """
    if level == NATIVE:
        return []
    found = set(_line("flags").partition(":")[2].split())
    if platform.machine() not in ("x86_64", "AMD64") or not found:
        raise ValueError(f"level {level} is for x86-64 alone, and this machine is {platform.machine()}")
    needed = [name for each in list(_NEEDED)[: list(_NEEDED).index(level) + 1] for name in _NEEDED[each]]
    return [name for name in needed if name not in found]


def supported(level: str) -> bool:
    """Whether this processor runs code of the level."""
    try:
        return not lacking(level)
    except ValueError:
        return False


def processor() -> str:
    """Return model and features, which determine `-march=native`; several machines may share a cache."""
    return _line("model name") + _line("flags") or platform.processor()


def model() -> str:
    """Return the processor's name."""
    return _line("model name").partition(":")[2].strip() or platform.processor() or platform.machine()


def _line(start: str) -> str:
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith(start)), "")
    return ""
