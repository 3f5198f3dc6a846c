"""Computes growing pauses between retries."""

from __future__ import annotations


class Backoff:
    """Pauses in seconds: `first`, then doubling up to `longest`."""

    def __init__(self, first: float = 0.2, longest: float = 5.0) -> None:
        self._first, self._longest = first, longest
        self._next = first

    def pause(self) -> float:
        """Return the pause before the next attempt."""
        pause, self._next = self._next, min(2 * self._next, self._longest)
        return pause

    def reset(self) -> None:
        """Start over with `first`, after a success."""
        self._next = self._first
