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

from api.schemas.jobs import JobOut
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
    """Follows until `end`, reconnecting with the last id seen. Extends a search at its first end, and follows it on."""

    def __init__(self, url: str, job_id: UUID, extend_to: int | None) -> None:
        """extend_to: epochs, or None to leave the search as it is."""
        super().__init__(name=f"watcher-{job_id}", daemon=True)
        self._url, self.job_id, self.extend_to = url, job_id, extend_to
        self.extended = False
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
                    if self._watch(connection):
                        self.ended = self.extended or self.extend_to is None or not self._extend(connection)
                except (ServiceUnreachableError, SSEError):
                    self._given_up.wait(_PAUSE)
        finally:
            connection.close()

    def _extend(self, connection: Connection) -> bool:
        """Whether the search goes on."""
        path = f"/searches/{self.job_id}"
        job = connection.read(JobOut, "GET", path)
        # An earlier request may have been served without its answer.
        if job.status == "succeeded" and job.spec["epochs"] != self.extend_to:
            job = connection.read(JobOut, "POST", f"{path}/extend", json={"epochs": self.extend_to})
        self.extended = job.spec["epochs"] == self.extend_to
        return self.extended

    def _watch(self, connection: Connection) -> bool:
        """Whether the search has ended."""
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": self._last_id} if self._last_id else {})}
        path = f"/searches/{self.job_id}/events"
        with connection.stream(path, headers=headers, timeout=_TIMEOUT) as answer:
            self.connections += 1
            for message in EventSource(answer).iter_sse():
                if not message.data:  # a heartbeat comment
                    continue
                if message.event == "end":
                    return True
                self._last_id = message.id
                self.seen.append(Seen(int(message.id), message.event, message.json()))
                if self._given_up.is_set():
                    return False
        return False
