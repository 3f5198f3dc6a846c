"""What several end-to-end tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from client.following import Event

# A search small enough for a test and long enough to be interrupted: some seconds an epoch.
SEARCH: Final[dict[str, Any]] = {"dataset": "digits", "channels": 4, "layers": 3, "nodes": 2, "batch_size": 128}


def until(events: Iterator[Event], wanted: Callable[[Event], bool]) -> Event:
    """The first event that is wanted."""
    return next(e for e in events if wanted(e))
