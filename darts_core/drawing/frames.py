"""What an animation consists of: epochs, and how few of them are enough. Needs no Pillow."""

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
    """What stands above the cells of a search after an epoch: how far it is, and how good on validation data."""
    title = f"Epoch {epoch} of {epochs}"
    if (accuracy := metrics.get("validation_accuracy")) is not None:
        return f"{title}: validation accuracy {accuracy:.2f} %"
    if (perplexity := metrics.get("validation_perplexity")) is not None:
        return f"{title}: validation perplexity {perplexity:.2f}"
    return title


def evenly(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many of them, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
