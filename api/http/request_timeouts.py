"""Ends requests that do not arrive: a time for the header, a pace for the body, and a cap on those of one client.

A server that waits for the rest of a request for as long as it takes can be filled with beginnings of requests.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True)
class ArrivalLimits:
    """`body_seconds` is the longest silence within a body, and the time in which its bytes may come slower than
    `body_bytes_per_second`. `per_client` counts requests of one address that have begun and are not complete.
    """

    header_seconds: float = 20.0
    header_bytes: int = 64 * 1024
    body_seconds: float = 60.0
    body_bytes_per_second: float = 1000.0
    per_client: int = 1024


class Arrival:
    """The request that is arriving over one connection: from the connection, or the byte behind the one before.

    refuse: answers with this status and this text and closes; `None` closes without an answer. is_paused: whether
    it is the service that reads no further, so that the client's silence is no fault of its own.
    """

    def __init__(
        self,
        limits: ArrivalLimits,
        open_by_client: Counter[str],
        client: str,
        loop: AbstractEventLoop,
        refuse: Callable[[HTTPStatus | None, str], None],
        is_paused: Callable[[], bool],
    ) -> None:
        self._limits, self._open, self._client, self._loop = limits, open_by_client, client, loop
        self._refuse, self._is_paused = refuse, is_paused
        self._timer: TimerHandle | None = None
        self._counted = self._in_header = False
        self._began = self._last = 0.0
        self._bytes = 0

    def begin(self) -> bool:
        """Wait for a header. False where the client has too many requests open, which has been answered then."""
        if self._counted:
            return True
        if self._open[self._client] >= self._limits.per_client:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, f"{self._limits.per_client} requests are not complete yet")
            return False
        self._open[self._client] += 1
        self._counted, self._in_header, self._bytes = True, True, 0
        self._timer = self._loop.call_later(self._limits.header_seconds, self._header_is_late)
        return True

    def received(self, count: int) -> None:
        """So many bytes have come and have been parsed."""
        self._bytes += count
        self._last = self._loop.time()
        if self._in_header and self._bytes > self._limits.header_bytes:
            text = f"the header is longer than {self._limits.header_bytes:,} bytes"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)

    def header_is_complete(self) -> None:
        """From here on the body is waited for."""
        self._stop_timer()
        self._in_header = False
        self._began = self._last = self._loop.time()
        self._timer = self._loop.call_later(self._limits.body_seconds, self._look_at_body)

    def is_complete(self) -> None:
        """The request has arrived, or its connection has gone."""
        self._stop_timer()
        self._in_header = False
        if self._counted:
            self._counted = False
            self._open[self._client] -= 1
            if not self._open[self._client]:
                del self._open[self._client]

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _header_is_late(self) -> None:
        text = f"the header has not come within {self._limits.header_seconds:g} s"
        # Browsers open connections in advance: nothing is asked for over one without a byte.
        self._refuse(HTTPStatus.REQUEST_TIMEOUT if self._bytes else None, text)

    def _look_at_body(self) -> None:
        now = self._loop.time()
        if self._is_paused():
            self._last = now
        silence_ends = self._last + self._limits.body_seconds
        pace_ends = self._began + self._limits.body_seconds + self._bytes / self._limits.body_bytes_per_second
        if (left := min(silence_ends, pace_ends) - now) > 0 or self._is_paused():
            self._timer = self._loop.call_later(max(left, self._limits.body_seconds / 10), self._look_at_body)
            return
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the body does not come, or comes too slowly")
