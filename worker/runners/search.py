"""Runs a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from darts_core.configs import config_class
from darts_core.files import checkpoints
from darts_core.training.control import Control
from darts_core.training.reports import EpochReport
from darts_core.training.run_config import run_config


def run(
    spec: dict[str, Any],
    *,
    data_root: Path,
    resume_from: Path | None,
    inputs: Mapping[str, Path],
    control: Control,
    gpus: int = 1,
) -> Iterator[EpochReport]:
    """The epochs that are still to do."""
    saved = None if resume_from is None else checkpoints.read(resume_from)
    config = config_class("search", spec)(**spec)
    return run_config(config, data_root=data_root, resume_from=saved, control=control, gpus=gpus)
