"""A receiver of webhooks that checks each message's signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID


class Receiver:
    """received: the ids of messages that were signed. unsigned: how many were not."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.secret = ""
        self.received: set[UUID] = set()
        self.unsigned = 0

    def take(self, headers: dict[str, str], body: bytes) -> None:
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        made = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        if hmac.compare_digest(f"v1,{made}", headers["webhook-signature"]):
            self.received.add(UUID(headers["webhook-id"]))
        else:
            self.unsigned += 1


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on loopback, while the context is open."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/")
    thread = threading.Thread(target=server.serve_forever, name="receiver", daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
