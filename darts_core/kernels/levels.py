"""The processor levels that the CPU kernels can be compiled for, and whether this processor runs them."""

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
"""Level: the compiler's flag. v2 to v4 are the x86-64 psABI's microarchitecture levels (SSE4.2, AVX2, AVX-512)."""

# As /proc/cpuinfo names them; each level needs those before it as well.
_NEEDED: Final = {
    "v2": ("cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"),
    "v3": ("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"),
    "v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}


def lacking(level: str) -> list[str]:
    """Processor features that code compiled for `level` needs and this processor does not have.

    Raises:
        ValueError: This machine is no x86-64, or does not tell its features.
    """
    if level == NATIVE:
        return []
    found = set(_line("flags").partition(":")[2].split())
    if platform.machine() not in ("x86_64", "AMD64") or not found:
        raise ValueError(f"level {level} is for x86-64 alone, and this machine is {platform.machine()}")
    needed = [name for each in list(_NEEDED)[: list(_NEEDED).index(level) + 1] for name in _NEEDED[each]]
    return [name for name in needed if name not in found]


def processor() -> str:
    """Model and features: what `-march=native` looks at, since a cache may be shared by several machines."""
    return _line("model name") + _line("flags") or platform.processor()


def _line(start: str) -> str:
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith(start)), "")
    return ""
