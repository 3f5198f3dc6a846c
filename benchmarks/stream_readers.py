"""Reads many event streams in one process: `python -m benchmarks.stream_readers`, one half of `bench watchers`.

Takes JSON on standard input: host, port, path and number of streams. Prints `open` once every stream has had its first
event, and one line of JSON with all arrival times when all have ended.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import httptools
import uvloop

# Concurrent connection attempts: a listener's queue is finite.
_AT_ONCE: Final = 50
# Pause before a reconnect, and attempts without any data.
_PAUSE_SECONDS: Final = 0.2
_TRIES: Final = 50
_ID = re.compile(rb"\nid: (\d+)$")
# When the event was sent, by the clock that all processes of a machine share.
_SENT = re.compile(rb'"sent_at": ?([0-9.]+)')


@lru_cache(maxsize=1000)
def _told(event: bytes) -> tuple[int, float | None] | None:
    """An event's sequence and, if present, the time it was sent; None for a comment. Cached across streams."""
    if (found := _ID.search(event)) is None:
        return None
    sent = _SENT.search(event)
    return int(found.group(1)), None if sent is None else float(sent.group(1))


class _Connection(asyncio.Protocol):
    """One connection of a stream. `lost` is set when it closes."""

    def __init__(self, request: bytes, take: Callable[[bytes], None]) -> None:
        self._request, self._take = request, take
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self._rest = b""
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Decode the chunked transfer."""
        self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        """Parser callback: remember the status."""
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Parser callback: pass on every complete event."""
        *events, self._rest = (self._rest + body).split(b"\n\n")
        for event in events:
            self._take(event)

    def connection_lost(self, error: Exception | None) -> None:
        """The service closes the stream after the job's end, or breaks it off before."""
        if not self.lost.done():
            self.lost.set_result(None)


class Reader:
    """One stream, read as a browser does: reconnects with the last id.

    `seen`: sequences in order of arrival; `whole`: whether the end arrived.
    """

    def __init__(self, host: str, port: int, path: str, delays: dict[int, list[float]]) -> None:
        self._host, self._port, self._path, self._delays = host, port, path, delays
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.refused = self.whole = False
        self.reconnected = 0
        self.seen: list[int] = []

    async def run(self) -> None:
        """Read to the end, reconnecting if necessary."""
        for connections in range(_TRIES):
            self.reconnected = connections
            try:
                _, connection = await asyncio.get_running_loop().create_connection(
                    self._connection, self._host, self._port
                )
                await connection.lost
                self.refused = connection.status not in (0, 200)
            except OSError:
                pass
            if self.whole or self.refused:
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        if not self.begun.done():
            self.begun.set_result(None)

    def _connection(self) -> _Connection:
        last = f"Last-Event-ID: {self.seen[-1]}\r\n" if self.seen else ""
        wanted = "Accept: text/event-stream\r\nConnection: close\r\n"
        request = f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\n{wanted}{last}\r\n"
        return _Connection(request.encode(), self._take)

    def _take(self, event: bytes) -> None:
        now = time.monotonic()
        if event.startswith(b"event: end"):
            self.whole = True  # the service repeats the last id
        elif (told := _told(event)) is not None:
            sequence, sent = told
            self.seen.append(sequence)
            if sent is not None:
                self._delays[sequence].append(now - sent)
        if not self.begun.done():
            self.begun.set_result(None)


async def read(host: str, port: int, path: str, streams: int) -> dict[str, Any]:
    """Open the streams and read them to their ends."""
    delays: dict[int, list[float]] = defaultdict(list)
    door = asyncio.Semaphore(_AT_ONCE)
    readers = [Reader(host, port, path, delays) for _ in range(streams)]

    async def opened(reader: Reader) -> asyncio.Task[None]:
        async with door:
            running = asyncio.create_task(reader.run())
            await reader.begun
            return running

    start = time.monotonic()
    running = await asyncio.gather(*map(opened, readers))
    opening = time.monotonic() - start
    print("open", flush=True)
    await asyncio.gather(*running)
    longest = max((len(reader.seen) for reader in readers), default=0)
    whole = list(range(1, longest + 1))
    return {
        "opening_seconds": opening,
        "refused": sum(reader.refused for reader in readers),
        # Reconnects before the end.
        "reconnected": sum(reader.reconnected for reader in readers),
        "without_end": sum(not reader.whole for reader in readers),
        # Events missing between two others, duplicated, or out of order, also across reconnects.
        "with_gaps": sum(reader.seen != whole[: len(reader.seen)] for reader in readers),
        "incomplete": sum(reader.seen != whole for reader in readers),
        "events": longest,
        "delays": delays,
    }


def main() -> None:
    order = json.loads(sys.stdin.readline())
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Garbage collection over a thousand streams would count as the service's delay.
    gc.disable()
    found = json.dumps(uvloop.run(read(**order)))
    # Unbuffered standard output may truncate a line longer than the pipe.
    with open(sys.stdout.fileno(), "w", closefd=False) as output:
        print(found, file=output)


if __name__ == "__main__":
    main()
