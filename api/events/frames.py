"""An event as it goes over the wire: made into bytes once, sent to every reader."""

from __future__ import annotations

import json
from typing import Final
from weakref import WeakKeyDictionary

from fastapi.sse import format_sse_event

from api.models import Event
from api.schemas.jobs import Status

# The hub hands one and the same event to all readers of its job.
_made: Final[WeakKeyDictionary[Event, bytes]] = WeakKeyDictionary()


def frame_of(event: Event) -> bytes:
    """A stored event."""
    frame = _made.get(event)
    if frame is None:
        frame = _made[event] = _formatted(event.kind, event.data, event.sequence)
    return frame


def end_frame(last: int, status: Status) -> bytes:
    """What ends a stream: no stored event, so it repeats the last one's id."""
    return _formatted("end", {"status": status}, last)


def _formatted(kind: str, data: object, sequence: int) -> bytes:
    return format_sse_event(event=kind, data_str=json.dumps(data), id=str(sequence))
