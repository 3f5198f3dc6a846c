"""How much resident memory something takes at most, beyond what the process held before. Linux only."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")


class Peak:
    """Counts from where it is made."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # sets the highest mark back to what is held now
        self._before = _status("VmRSS")

    def bytes(self) -> int:
        """The most that was held at one time since then, less what was held then."""
        return _status("VmHWM") - self._before


class GpuPeak:
    """The same of the GPU's memory that torch gave out."""

    def __init__(self) -> None:
        import torch

        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        self._before = torch.cuda.memory_allocated()

    def bytes(self) -> int:
        """The most that was held at one time since then, less what was held then."""
        import torch

        return int(torch.cuda.max_memory_allocated() - self._before)


def _status(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} has no {name}")
