"""Follows a job's event stream and reconnects with the last event's id."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
from httpx_sse import EventSource, SSEError

from client.connection import Connection
from client.errors import ServiceUnreachableError
from client.events import Event, event_of
from darts_core.runtime.backoff import Backoff

# The service sends a heartbeat comment every 15 s; after three missed ones the connection counts as dead.
_TIMEOUT = httpx.Timeout(30, connect=5, read=50)
_GIVE_UP_SECONDS = 60.0


def follow(connection: Connection, path: str, after: int) -> Iterator[Event]:
    """Events after sequence `after`, each once and in order, up to and including `end`.

    Reconnects when a connection breaks. Raises ServiceUnreachableError after a minute without an answer, and at once if
    the first connection fails; ProblemError when the service refuses.
    """
    last, connected, backoff = after, False, Backoff()
    broken_since: float | None = None
    while True:
        try:
            headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", "Last-Event-ID": str(last)}
            with connection.stream(path, headers=headers, timeout=_TIMEOUT) as answer:
                connected, broken_since = True, None
                backoff.reset()
                for message in EventSource(answer).iter_sse():
                    if not message.data:  # a heartbeat comment
                        continue
                    event = event_of(int(message.id or last), message.event, message.json())
                    if event.kind == "end":
                        yield event
                        return
                    if event.sequence > last:
                        last = event.sequence
                        yield event
        except (ServiceUnreachableError, SSEError):
            broken_since = broken_since or time.monotonic()
            if not connected or time.monotonic() - broken_since > _GIVE_UP_SECONDS:
                raise
        time.sleep(backoff.pause())
