"""Without an admin's key the service listens on loopback alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.keys import Guarded


def environment(database_url: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": database_url}


def refusal(database_url: str) -> str:
    command = [sys.executable, "-m", "api", "--host", "0.0.0.0", "--port", "1"]
    ended = subprocess.run(
        command, env=environment(database_url), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    return ended.stderr


def test_without_a_database_to_ask_for_keys_it_refuses_to_listen_beyond_loopback() -> None:
    said = refusal("postgresql+psycopg://nobody@127.0.0.1:1/none")
    assert "refusing to listen on 0.0.0.0" in said
    assert "DATABASE_URL" in said


def test_without_an_admins_key_it_refuses_to_listen_beyond_loopback(guarded: Guarded) -> None:
    # A database of the same server without any key.
    empty = guarded.database_url.rpartition("/")[0] + "/empty"
    administration = [sys.executable, "-c", _MAKE_DATABASE]
    subprocess.run(administration, env=environment(guarded.database_url), check=True)
    subprocess.run([sys.executable, "-m", "api.migrate"], env=environment(empty), check=True)
    said = refusal(empty)
    assert "refusing to listen on 0.0.0.0" in said
    assert "python -m api.keys create" in said


_MAKE_DATABASE = """
import os, psycopg
url = os.environ["DATABASE_URL"].replace("postgresql+psycopg", "postgresql")
with psycopg.connect(url, autocommit=True) as connection:
    connection.execute("create database empty")
"""


@pytest.fixture
def beyond_loopback(guarded: Guarded) -> Iterator[str]:
    """The address of a second API on the same database that listens on every interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "api", "--host", "0.0.0.0", "--port", str(port)]
    process = subprocess.Popen(command, env=environment(guarded.database_url))
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz")
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def test_with_an_admins_key_it_listens_beyond_loopback_and_wants_keys(beyond_loopback: str, guarded: Guarded) -> None:
    host = {"Host": "dartboard.example"}
    assert httpx.get(f"{beyond_loopback}/jobs", headers=host).status_code == 401
    with_key = {**host, "Authorization": f"Bearer {guarded.admin}"}
    assert httpx.get(f"{beyond_loopback}/jobs", headers=with_key).status_code == 200
