"""A server that speaks S3, on loopback, and buckets in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
from moto.server import ThreadedMotoServer


@contextmanager
def serving_s3() -> Iterator[str]:
    """The server's URL."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def new_bucket(server: str) -> tuple[str, dict[str, str]]:
    """The name of a new bucket, and the variables by which a client finds it."""
    name = f"bucket-{uuid4().hex[:8]}"
    httpx.put(f"{server}/{name}", timeout=60).raise_for_status()
    settings = {"ENDPOINT_URL": server, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "REGION": "us-east-1"}
    return name, {f"AWS_{variable}": value for variable, value in settings.items()}
