"""Describes the environment that a training's numbers depend on besides its spec."""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch

from darts_core.configs.common import RunConfig
from darts_core.files.checkpoints import Environment
from darts_core.kernels import levels, loader
from darts_core.runtime.version import VERSION, sources_digest
from darts_core.training.determinism import is_deterministic
from darts_core.training.precision import precision_of, uses_tf32


def environment_of(config: RunConfig, device: torch.device, ranks: int, data: str | None) -> Environment:
    """The present environment of a run. data: the checksum of its data set, if that is known."""
    return {
        "torch": str(torch.__version__),  # a class of its own, which weights_only refuses
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "deterministic": is_deterministic(config.deterministic, device),
        "precision": precision_of(config, device),
        "tf32": uses_tf32(config, device),
        "ranks": ranks,
        "dartboard": VERSION,
        "sources": sources_digest(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "processor": levels.model(),
        "kernels": loader.level_in_use(),
        "data": data or "unknown",
    }
