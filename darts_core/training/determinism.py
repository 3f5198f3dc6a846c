"""Makes runs repeatable: threads, deterministic kernels, random generators with a state that can be saved."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch

from darts_core.configs.common import RunConfig
from darts_core.data.order import generator


@contextlib.contextmanager
def repeatable(config: RunConfig, device: torch.device) -> Iterator[None]:
    """Sets the spec's threads and determinism while the context is open.

    Sums depend on how many threads share them: results are repeatable for an equal number only.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads or before)
    try:
        with deterministic_kernels(is_deterministic(config.deterministic, device), device):
            yield
    finally:
        torch.set_num_threads(before)


def is_deterministic(wanted: bool | None, device: torch.device) -> bool:
    """A spec's `deterministic`: unset, it is yes on a CPU, where it is nearly free, and no on a GPU."""
    return device.type == "cpu" if wanted is None else wanted


@contextlib.contextmanager
def deterministic_kernels(wanted: bool, device: torch.device) -> Iterator[None]:
    """Selects kernels that give the same bits each time while the context is open; torch raises RuntimeError for none.

    Restores the process's settings at the end: a caller's own code between two epochs runs as it always did.
    """
    if wanted and device.type == "cuda":
        # cuBLAS reads this when it starts, and must not pick its workspace by chance.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    # Otherwise every new tensor would be filled with NaN first: a debugging aid that costs time.
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(wanted)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not wanted
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = benchmark


@contextlib.contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Seeds torch's global CPU generator while the context is open, and restores its state at the end."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would reseed the GPUs as well, and fork_rng would not restore them.
        torch.default_generator.manual_seed(generator(seed, *purpose).initial_seed())
        yield


def captured(source: torch.Generator) -> dict[str, Any]:
    """A generator's state, as text and a tensor."""
    return {"device": source.device.type, "state": source.get_state()}


def restored(source: torch.Generator, state: dict[str, Any]) -> None:
    """Restore a captured state; a no-op on another type of device."""
    if state["device"] == source.device.type:
        source.set_state(state["state"].to("cpu", torch.uint8))
