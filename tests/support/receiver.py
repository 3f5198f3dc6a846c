"""A receiver of webhooks, which checks nothing: tests do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from typing import Any

SECONDS = 30


@dataclass(frozen=True)
class Received:
    """One request."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """statuses: of the first answers; 204 from then on. Requests are queued in the order of their arrival."""

    url: str
    statuses: list[int] = field(default_factory=list)
    location: str | None = None
    requests: Queue[Received] = field(default_factory=Queue)

    def next(self) -> Received:
        """Wait for a request."""
        return self.requests.get(timeout=SECONDS)


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            receiver.requests.put(Received(headers, body))

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook?token=secret-token")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def is_signed(request: Received, secret: str) -> bool:
    """By the standard's own description, not by the code that signs."""
    key = base64.b64decode(secret.split("_", 1)[1])
    stamp = request.headers["webhook-timestamp"]
    assert abs(int(stamp) - time.time()) < 3600
    signed = b".".join([request.id.encode(), stamp.encode(), request.body])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return request.headers["webhook-signature"] == f"v1,{expected}"
