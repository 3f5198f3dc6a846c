"""Chooses the precision of a run: bf16 autocast, TF32 on GPUs, float64."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import torch

from darts_core.configs.common import RunConfig
from darts_core.training.determinism import is_deterministic
from darts_core.training.matmul_precision import tf32

Precision = Literal["float32", "bf16", "float64"]


def precision_of(config: RunConfig, device: torch.device) -> Precision:
    """The spec's `precision`; left open, bf16 on a GPU that computes in it, else float32."""
    if config.precision is not None:
        return config.precision
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"


def type_of(config: RunConfig) -> torch.dtype:
    """Of the weights and of the images that go in."""
    return torch.float64 if config.precision == "float64" else torch.float32


def uses_tf32(config: RunConfig, device: torch.device) -> bool:
    """The spec's `tf32`; left open, yes unless the run is to be deterministic. Never on a CPU, which has none."""
    if device.type != "cuda":
        return False
    return not is_deterministic(config.deterministic, device) if config.tf32 is None else config.tf32


@contextlib.contextmanager
def computing(config: RunConfig, device: torch.device) -> Iterator[None]:
    """Sets the spec's precision on this device while the context is open."""
    with contextlib.ExitStack() as settings:
        settings.enter_context(tf32(uses_tf32(config, device)))
        if precision_of(config, device) == "bf16":
            # Its cache of converted weights would outlive the optimiser's step.
            settings.enter_context(torch.autocast(device.type, torch.bfloat16, cache_enabled=False))
        yield
