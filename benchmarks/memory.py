"""Measures peak memory above the level at the start. Linux only."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")


class Peak:
    """Starts counting on construction."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak to the current use
        self._before = _status("VmRSS")

    def bytes(self) -> int:
        """Peak since construction, less the use at construction."""
        return _status("VmHWM") - self._before


class GpuPeak:
    """The same for GPU memory allocated by torch."""

    def __init__(self) -> None:
        import torch

        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        self._before = torch.cuda.memory_allocated()

    def bytes(self) -> int:
        """Peak since construction, less the use at construction."""
        import torch

        return int(torch.cuda.max_memory_allocated() - self._before)


def _status(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} has no {name}")
