"""Connections as this service keeps them: many at a time, and ended when their other end does not read."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Final

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_EXTENSION: Final = "dartboard.connection"


class Connection(HttpToolsProtocol):
    """uvicorn's, which tells the app how to break it off, and when the service stops.

    Closing waits for everything to be sent: towards somebody who reads nothing that is for ever.
    """

    _stopping: Callable[[], None] | None = None

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: {"connection": self}}

    def cut(self) -> None:
        """Break it off at once."""
        self.transport.abort()

    def when_stopping(self, call: Callable[[], None]) -> None:
        """For an answer that does not end by itself: what ends it when the service stops."""
        self._stopping = call

    def shutdown(self) -> None:
        """The service stops: let the request in work end."""
        super().shutdown()
        if self._stopping is not None:
            self._stopping()


def connection_of(scope: Scope) -> Connection | None:
    """The request's; None where another server runs the app."""
    found: Connection | None = scope.get("extensions", {}).get(_EXTENSION, {}).get("connection")
    return found


def allow_many() -> None:
    """As many open files as the system lets a process have: each stream is one, and the usual limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
