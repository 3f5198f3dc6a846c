"""Serves many concurrent connections and closes those whose client neither reads nor writes."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar, Final

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.http.problems import MEDIA_TYPE, Problem
from api.http.request_timeouts import Arrival, ArrivalLimits

_EXTENSION: Final = "dartboard.connection"


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, extended with arrival limits, an abort and a shutdown callback.

    uvicorn's own close first sends all buffered data, which never ends if the client does not read.
    """

    limits: ClassVar[ArrivalLimits] = ArrivalLimits()
    _open_by_client: ClassVar[Counter[str]] = Counter()
    _stopping: Callable[[], None] | None = None
    _arrival: Arrival

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        client = self.client[0] if self.client else ""
        self._arrival = Arrival(
            self.limits, self._open_by_client, client, self.loop, self._refuse, lambda: self.flow.read_paused
        )
        self._arrival.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrival.is_complete()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._arrival.received(len(data))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: {"connection": self}}
        self._arrival.begin()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._arrival.header_is_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._arrival.is_complete()

    def cut(self) -> None:
        """Abort the connection without sending buffered data."""
        self.transport.abort()

    def when_stopping(self, call: Callable[[], None]) -> None:
        """Register the callback that ends an unbounded response, such as an event stream, on shutdown."""
        self._stopping = call

    def shutdown(self) -> None:
        """Let the request in progress finish."""
        super().shutdown()
        if self._stopping is not None:
            self._stopping()

    def _refuse(self, status: HTTPStatus | None, detail: str) -> None:
        """Close the connection, with a problem document if no response has started."""
        if self.transport.is_closing():
            return
        if status is not None and (
            self.cycle is None or self.cycle.response_complete or not self.cycle.response_started
        ):
            self.transport.write(_problem(status, detail))
        self.transport.close()


def with_limits(limits: ArrivalLimits) -> type[Connection]:
    """A Connection class with these limits and its own count of open requests."""
    own: dict[str, Any] = {"limits": limits, "_open_by_client": Counter()}
    return type("Connection", (Connection,), own)


def connection_of(scope: Scope) -> Connection | None:
    """The request's connection; None if another server runs the app."""
    found: Connection | None = scope.get("extensions", {}).get(_EXTENSION, {}).get("connection")
    return found


def allow_many() -> None:
    """Raise the limit of open files to the hard limit: each stream needs one, and the usual soft limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _problem(status: HTTPStatus, detail: str) -> bytes:
    problem = Problem(title=status.phrase, status=status, detail=detail)
    body = problem.model_dump_json(exclude_none=True).encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\nRetry-After: 5\r\n\r\n".encode() + body
