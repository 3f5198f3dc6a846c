"""Defines the frames of an animation and thins them out. Needs no Pillow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from darts_core.drawing.cells import Cell

MOST_FRAMES: Final = 100
T = TypeVar("T")


@dataclass(frozen=True)
class Frame:
    """One epoch's cells under a title."""

    title: str
    cells: tuple[Cell, ...]


def epoch_title(epoch: int, epochs: int, metrics: Mapping[str, float]) -> str:
    """Title of a search epoch: its number and validation metric."""
    title = f"Epoch {epoch} of {epochs}"
    if (accuracy := metrics.get("validation_accuracy")) is not None:
        return f"{title}: validation accuracy {accuracy:.2f} %"
    if (perplexity := metrics.get("validation_perplexity")) is not None:
        return f"{title}: validation perplexity {perplexity:.2f}"
    return title


def evenly(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many items, evenly spaced, including the first and the last."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
