"""Tells a run that has diverged by its losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Nats. A uniform guess among e^20, half a billion, classes or words has a lower loss.
_WORSE_THAN_ANY_GUESS: Final = 20.0


def divergence(metrics: Mapping[str, float] | None) -> str | None:
    """A warning if a loss of the latest epoch is above that of any uniform guess; None otherwise."""
    for name in ("validation_loss", "test_loss"):
        value = (metrics or {}).get(name, 0.0)
        if value > _WORSE_THAN_ANY_GUESS:
            return (
                f"the run has diverged: its {name.replace('_', ' ')} is {value:.3g} nats, worse than any guess. "
                "Use a lower learning rate or a stronger clipping of gradients"
            )
    return None
