"""Ends requests whose header or body does not arrive in time, and caps the incomplete requests of a client.

Without these limits, a client can exhaust the server with requests that it never completes (Slowloris).
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True)
class ArrivalLimits:
    """Limits on requests that are still arriving.

    body_seconds: the longest pause within a body, and the grace period before the body's average rate must reach
    body_bytes_per_second. per_client: incomplete requests per client address.
    """

    header_seconds: float = 20.0
    header_bytes: int = 64 * 1024
    body_seconds: float = 60.0
    body_bytes_per_second: float = 1000.0
    per_client: int = 1024


class Arrival:
    """Tracks one request from its connection, or from the end of the previous request, until it is complete.

    refuse: sends the status and text, then closes; with `None`, closes without a response. is_paused: whether the
    service itself has paused reading, in which case the client's silence does not count.
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
        """Start the header's timeout. False if the client has too many incomplete requests; those get 429."""
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
        """Count bytes that have arrived and been parsed."""
        self._bytes += count
        self._last = self._loop.time()
        if self._in_header and self._bytes > self._limits.header_bytes:
            text = f"the header is longer than {self._limits.header_bytes:,} bytes"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)

    def header_is_complete(self) -> None:
        """Start the body's timeout."""
        self._stop_timer()
        self._in_header = False
        self._began = self._last = self._loop.time()
        self._timer = self._loop.call_later(self._limits.body_seconds, self._check_body)

    def is_complete(self) -> None:
        """Stop the timers: the request has arrived, or its connection is lost."""
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
        text = f"the header did not arrive within {self._limits.header_seconds:g} s"
        # Browsers open spare connections: one without a byte gets no response.
        self._refuse(HTTPStatus.REQUEST_TIMEOUT if self._bytes else None, text)

    def _check_body(self) -> None:
        now = self._loop.time()
        if self._is_paused():
            self._last = now
        silence_ends = self._last + self._limits.body_seconds
        pace_ends = self._began + self._limits.body_seconds + self._bytes / self._limits.body_bytes_per_second
        if (left := min(silence_ends, pace_ends) - now) > 0 or self._is_paused():
            self._timer = self._loop.call_later(max(left, self._limits.body_seconds / 10), self._check_body)
            return
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time")
