"""Watches a job's events and keeps every one as received, duplicates included.

The SDK's `follow` drops events that it has seen, and would hide duplicates.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from httpx_sse import EventSource, SSEError

from client.connection import Connection
from client.errors import ServiceUnreachableError

_PAUSE = 0.2  # seconds before a reconnect
_TIMEOUT = httpx.Timeout(30, connect=5, read=50)


@dataclass(frozen=True)
class Seen:
    """One event as received."""

    sequence: int
    kind: str
    data: dict[str, Any]


class Watcher(threading.Thread):
    """Follows until `end`, reconnecting with the last id seen."""

    def __init__(self, url: str, job_id: UUID) -> None:
        super().__init__(name=f"watcher-{job_id}", daemon=True)
        self._url, self.job_id = url, job_id
        self.seen: list[Seen] = []
        self.connections = 0
        self.ended = False
        self._last_id = ""
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """Stop watching before the end."""
        self._given_up.set()

    def run(self) -> None:
        connection = Connection(self._url)
        try:
            while not self.ended and not self._given_up.is_set():
                try:
                    self._watch(connection)
                except (ServiceUnreachableError, SSEError):
                    self._given_up.wait(_PAUSE)
        finally:
            connection.close()

    def _watch(self, connection: Connection) -> None:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": self._last_id} if self._last_id else {})}
        path = f"/searches/{self.job_id}/events"
        with connection.stream(path, headers=headers, timeout=_TIMEOUT) as answer:
            self.connections += 1
            for message in EventSource(answer).iter_sse():
                if not message.data:  # a heartbeat comment
                    continue
                if message.event == "end":
                    self.ended = True
                    return
                self._last_id = message.id
                self.seen.append(Seen(int(message.id), message.event, message.json()))
                if self._given_up.is_set():
                    return
