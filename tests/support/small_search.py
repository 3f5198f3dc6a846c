"""A small search for end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from client.events import Event

# A search small enough for a test: a second an epoch, or some.
SEARCH: Final[dict[str, Any]] = {"dataset": "digits", "channels": 4, "layers": 3, "nodes": 2, "batch_size": 128}
# Of a stack: an epoch must be heard of while it lasts, and it is short.
QUICK_SIGNS: Final = {
    "DARTBOARD_STEP_EVENT_SECONDS": "0.1",
    "DARTBOARD_HEARTBEAT_SECONDS": "0.2",
    "DARTBOARD_HEARTBEAT_PAUSE_SECONDS": "0.2",
}


def until(events: Iterator[Event], wanted: Callable[[Event], bool]) -> Event:
    """The first event that is wanted."""
    return next(e for e in events if wanted(e))
