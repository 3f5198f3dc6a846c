"""Gives the defaults of a run: its data folder and its device."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

DATA_ROOT: Final = Path("data")


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
