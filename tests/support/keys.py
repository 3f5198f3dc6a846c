"""A service that requires keys, and requests with keys of every role."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from api.schemas.jobs import JobOut
from api.schemas.keys import KeyCreated


@dataclass(frozen=True)
class Guarded:
    """A running service, its first admin's key, and what only its operator knows."""

    url: str
    admin: str
    worker_key: str
    database_url: str
    log: Path

    def http(self, key: str | None = None, **options: Any) -> httpx.Client:
        """A client that sends this key, if any."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, **options)

    def make(self, role: str, owner: str | None = None, **limits: float) -> KeyCreated:
        """A new key, by default of an owner of its own."""
        body = {"role": role, "owner": owner or f"{role}-{uuid4().hex[:8]}", "limits": limits}
        with self.http(self.admin) as http:
            answer = http.post("/keys", json=body)
        assert answer.status_code == 201, answer.text
        return KeyCreated.model_validate_json(answer.content)


def made_on_the_server(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return keys_command(database_url, "create", *arguments)


def keys_command(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m api.keys`, beside the service."""
    environment = {**os.environ, "DATABASE_URL": database_url}
    command = [sys.executable, "-m", "api.keys", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


Person = Callable[..., httpx.Client]


def submitted(http: httpx.Client, **fields: Any) -> JobOut:
    """A search that no worker runs."""
    answer = http.post("/searches", json={"dataset": "digits", "pool": "unserved", **fields})
    assert answer.status_code == 201, answer.text
    return JobOut.model_validate_json(answer.content)


def read_to_its_end(pieces: Iterator[str]) -> str:
    """All that still comes of an event stream, ended or broken off by the service."""
    text = ""
    try:
        for piece in pieces:
            text += piece
    except (httpx.RemoteProtocolError, httpx.ReadError):
        pass
    return text
