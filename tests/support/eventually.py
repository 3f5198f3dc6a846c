"""Waits for what has no stream of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import httpx

from client.errors import ServiceUnreachableError

Found = TypeVar("Found")


def eventually(ready: Callable[[], Found | None], seconds: float = 90.0) -> Found:
    """What `ready` gives once it gives something, also from a service that is not up yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := ready():
                return found
        except (ServiceUnreachableError, httpx.TransportError):
            pass
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.2)
