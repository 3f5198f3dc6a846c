"""Connections as this service keeps them: many at a time, and broken off when their other end does not read."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Final

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_EXTENSION: Final = "dartboard.cut"


class Connection(HttpToolsProtocol):
    """uvicorn's, which tells the app how to break it off.

    Closing waits for everything to be sent: towards somebody who reads nothing that is for ever.
    """

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: {"cut": self.transport.abort}}


def cutter_of(scope: Scope) -> Callable[[], None]:
    """What breaks the request's connection off at once; nothing where another server runs the app."""
    found: Callable[[], None] = scope.get("extensions", {}).get(_EXTENSION, {}).get("cut", lambda: None)
    return found


def allow_many() -> None:
    """As many open files as the system lets a process have: each stream is one, and the usual limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
