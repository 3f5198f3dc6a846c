"""Lengthens the pauses between repeated tries."""

from __future__ import annotations


class Backoff:
    """Pauses in seconds: `first`, then twice the one before, up to `longest`."""

    def __init__(self, first: float = 0.2, longest: float = 5.0) -> None:
        self._first, self._longest = first, longest
        self._next = first

    def pause(self) -> float:
        """The pause before the next try."""
        pause, self._next = self._next, min(2 * self._next, self._longest)
        return pause

    def reset(self) -> None:
        """Begin with `first` again, after a try that succeeded."""
        self._next = self._first
