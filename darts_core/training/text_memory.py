"""Checks before a run on text that it fits into its device's memory."""

from __future__ import annotations

from typing import Any

import torch

from darts_core.configs import RnnEvaluationConfig, RnnSearchConfig
from darts_core.configs.common import SMALLEST_SHARE
from darts_core.data.text.windows import LONGER
from darts_core.errors import OutOfMemory
from darts_core.profile.language_model import LanguageShape
from darts_core.profile.memory import Kind
from darts_core.profile.text_memory import (
    TextNeed,
    kept_by_retraining,
    kept_by_search,
    retraining_need,
    search_need,
)
from darts_core.training.memory import free_memory, gib
from darts_core.training.texts import DeviceText

Config = RnnSearchConfig | RnnEvaluationConfig

_WAYS_OUT = "a smaller hidden_size or bptt, or a larger device"


def longest_window(config: Config) -> int:
    """The most words of a column that a step reads."""
    return config.bptt if isinstance(config, RnnSearchConfig) else config.bptt + LONGER


def text_need_of(config: Config, words: int, device: torch.device, length: int) -> TextNeed:
    """Estimate the memory of a resolved spec's run on windows of that length, with so many words in the vocabulary."""
    shape = LanguageShape(config.hidden_size, words)
    penalties = {"activation": config.activation_penalty > 0, "slowness": config.slowness_penalty > 0}
    kind: Kind = "cuda" if device.type == "cuda" else "cpu"
    options: dict[str, Any] = {"kind": kind, "graph": kind == "cuda" and config.cuda_graph}
    if isinstance(config, RnnSearchConfig):
        kept = kept_by_search(shape, config.nodes, length, **penalties)
        measured = config.bptt * config.validation_batch_size
        return search_need(kept, shape, config.nodes, order=config.order, measured=measured, **options)
    cell = config.cell()
    kept = kept_by_retraining(cell, shape, length, **penalties)
    measured = config.bptt * max(config.validation_batch_size, config.test_batch_size)
    return retraining_need(kept, shape, len(cell.recurrent), measured=measured, **options)


def check_text(config: Config, data: DeviceText) -> None:
    """Raises OutOfMemory when a resolved spec's run on this text would not fit into the free memory.

    Not for a resumed run: it fitted before, and the memory of its dead worker may not be free yet.
    """
    source = data.source
    check_text_fits(config, data.device, vocabulary=len(source.vocabulary), words=len(source.parts["train"]))


def check_text_fits(
    config: Config, device: torch.device, *, vocabulary: int, words: int, free: int | None = None
) -> None:
    """Raises OutOfMemory, with the columns that would fit, when the run's estimated need is more than what is free.

    vocabulary: its words. words: of the training text. free: bytes available to this process, by default as the device
    reports.
    """
    free = free_memory(device) if free is None else free
    if free is None:
        return
    longest = longest_window(config)
    columns = config.batch_size if isinstance(config, RnnSearchConfig) else config.part_size
    # Too short a text has no longer windows.
    needed = text_need_of(config, vocabulary, device, min(longest, words // config.batch_size)).of(columns)
    if needed <= free:
        return
    fitting = text_need_of(config, vocabulary, device, longest).fitting(free)
    raise OutOfMemory(
        f"batch_size {config.batch_size}{_in_parts(config)} needs about {gib(needed)} on {device}, which has "
        f"{gib(free)} free; {_advice(config, fitting)}"
    )


def _in_parts(config: Config) -> str:
    parts = 1 if isinstance(config, RnnSearchConfig) else config.batch_size // config.part_size
    return f" in {parts} parts" if parts > 1 else ""


def _advice(config: Config, fitting: int) -> str:
    if isinstance(config, RnnSearchConfig):
        if fitting < SMALLEST_SHARE:
            return f"no batch would fit: use {_WAYS_OUT}"
        return f"batch_size={fitting} would fit, or {_WAYS_OUT}"
    if fitting == 0:
        return f"no batch would fit: use {_WAYS_OUT}"
    part = max(columns for columns in range(1, fitting + 1) if config.batch_size % columns == 0)
    return f"batch_size={fitting} would fit, or small_batch_size={part}, or {_WAYS_OUT}"
