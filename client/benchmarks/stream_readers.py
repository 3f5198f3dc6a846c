"""Many event streams read in one process: `python -m client.benchmarks.stream_readers`, one half of `bench watchers`.

Told by JSON on standard input: host, port, path and how many streams. Says `open` once every stream has had its first
event, and, when all have ended, one line of JSON: what arrived when.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from collections import defaultdict
from typing import Any, Final

import httptools

# Connections that are being made at one time: a listener's queue is finite.
_AT_ONCE: Final = 50
_ID = re.compile(rb"\nid: (\d+)")
# When the event was sent, by the one clock that all processes of a machine share.
_SENT = re.compile(rb'"sent_at": ?([0-9.]+)')


class Reader(asyncio.Protocol):
    """One stream. `seen` are the sequences in the order of their arrival; `whole`: its end came, too."""

    def __init__(self, request: bytes, delays: dict[int, list[float]]) -> None:
        self._request, self._delays = request, delays
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.status = 0
        self.seen: list[int] = []
        self.whole = False
        self._rest = b""
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Take bytes off the chunked encoding."""
        self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        """The parser's: remember the answer's status."""
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """The parser's: look at every whole event."""
        now = time.monotonic()
        *events, self._rest = (self._rest + body).split(b"\n\n")
        for event in events:
            found = _ID.search(event)
            if event.startswith(b"event: end"):
                self.whole = True
                continue  # it repeats the last id
            if found is None:
                continue  # a comment
            sequence = int(found.group(1))
            self.seen.append(sequence)
            if sent := _SENT.search(event):
                self._delays[sequence].append(now - float(sent.group(1)))
        if self.seen and not self.begun.done():
            self.begun.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """The service ends the stream after the job's end."""
        for future in (self.begun, self.ended):
            if not future.done():
                future.set_result(None)


async def read(host: str, port: int, path: str, streams: int) -> dict[str, Any]:
    """Open the streams, read them to their ends."""
    delays: dict[int, list[float]] = defaultdict(list)
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n".encode()
    door, loop = asyncio.Semaphore(_AT_ONCE), asyncio.get_running_loop()

    async def opened() -> Reader:
        async with door:
            _, reader = await loop.create_connection(lambda: Reader(request, delays), host, port)
            await reader.begun
            return reader

    start = time.monotonic()
    readers = await asyncio.gather(*(opened() for _ in range(streams)))
    opening = time.monotonic() - start
    print("open", flush=True)
    await asyncio.gather(*(reader.ended for reader in readers))
    longest = max((len(reader.seen) for reader in readers), default=0)
    whole = list(range(1, longest + 1))
    return {
        "opening_seconds": opening,
        "refused": sum(reader.status != 200 for reader in readers),
        # A client comes back by its last id; these readers do not.
        "broken_off": sum(not reader.whole for reader in readers),
        "with_gaps": sum(reader.seen != whole[: len(reader.seen)] for reader in readers),
        "incomplete": sum(reader.seen != whole for reader in readers),
        "events": longest,
        "delays": delays,
    }


def main() -> None:
    """Read as told."""
    order = json.loads(sys.stdin.readline())
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(json.dumps(asyncio.run(read(**order))), flush=True)


if __name__ == "__main__":
    main()
