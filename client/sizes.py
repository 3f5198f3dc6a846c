"""Formats numbers of bytes."""

from __future__ import annotations


def size(number: float) -> str:
    """Three digits and the decimal unit: `512 B`, `4.07 MB`, `1,200 TB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}" if unit != "B" else f"{number:.0f} B"
        number /= 1000
    return f"{number:,.3g} TB" if number < 999.5 else f"{number:,.0f} TB"
