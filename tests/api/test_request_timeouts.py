"""Requests that arrive too slowly are ended, and one client holds a bounded number of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from api.http.request_timeouts import ArrivalLimits
from client.local.stack import LocalStack

pytestmark = pytest.mark.stack

SECONDS = 1.0
PER_CLIENT = 20
LINE = b"POST /searches HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.URL]:
    environment = {
        "DARTBOARD_REQUEST_HEADER_SECONDS": str(SECONDS),
        "DARTBOARD_REQUEST_BODY_SECONDS": str(SECONDS),
        "DARTBOARD_UNFINISHED_REQUESTS_PER_CLIENT": str(PER_CLIENT),
    }
    with LocalStack(tmp_path_factory.mktemp("half-open"), port=0, workers=0, environment=environment) as stack:
        yield httpx.URL(stack.url)


@contextmanager
def opened(url: httpx.URL, sent: bytes, count: int = 1) -> Iterator[list[socket.socket]]:
    with ExitStack() as opened:
        sockets = [
            opened.enter_context(socket.create_connection((url.host, url.port), timeout=30)) for _ in range(count)
        ]
        for connection in sockets:
            connection.sendall(sent)
        yield sockets


def answer(connection: socket.socket) -> bytes:
    """All that comes until the service closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "sent",
    [
        LINE,
        LINE + b"X-Slow: ",
        LINE + b"Content-Length: 1000\r\n\r\n{",
        LINE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
    ids=["after a line", "in a header", "in the body", "in a chunk"],
)
def test_a_request_that_stops_is_answered_with_408_and_closed(url: httpx.URL, sent: bytes) -> None:
    with opened(url, sent, PER_CLIENT // 2) as connections:
        for connection in connections:
            assert answer(connection).startswith(b"HTTP/1.1 408 ")


def test_a_connection_without_a_byte_is_closed_without_an_answer(url: httpx.URL) -> None:
    with opened(url, b"") as [connection]:
        assert answer(connection) == b""


def test_a_body_that_trickles_is_ended_too(url: httpx.URL) -> None:
    with opened(url, LINE + b"Content-Length: 100000\r\n\r\n") as [connection]:
        began = time.monotonic()
        try:
            while time.monotonic() - began < 30 * SECONDS:
                connection.sendall(b" ")
                time.sleep(SECONDS / 10)  # a client's pace, not a wait
        except OSError:  # the service has closed
            pass
        assert time.monotonic() - began < 20 * SECONDS


def test_a_header_without_end_is_refused(url: httpx.URL) -> None:
    with opened(url, LINE + b"X-Long: " + b"a" * ArrivalLimits().header_bytes) as [connection]:
        assert answer(connection).startswith(b"HTTP/1.1 431 ")


def test_one_client_holds_so_many_unfinished_requests_and_others_are_served_again_when_they_end(
    url: httpx.URL,
) -> None:
    with opened(url, LINE, PER_CLIENT) as connections:
        with opened(url, b"") as [one_more]:
            assert answer(one_more).startswith(b"HTTP/1.1 429 ")
        for connection in connections:
            answer(connection)
    assert httpx.get(url.join("/readyz")).status_code == 200


def test_streams_and_idle_connections_do_not_count(url: httpx.URL) -> None:
    with ExitStack() as opened_streams, httpx.Client(base_url=url) as http:
        job = http.post("/searches", json={"dataset": "digits", "epochs": 1}).json()
        for _ in range(2 * PER_CLIENT):
            stream = http.stream("GET", f"/searches/{job['id']}/events", timeout=30)
            assert opened_streams.enter_context(stream).status_code == 200
        time.sleep(2 * SECONDS)  # longer than a header or a body may take
        assert http.get("/readyz").status_code == 200
