"""The API and a webhook's receiver are killed at random, and every event arrives."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from client.errors import ProblemError, ServiceUnreachableError
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.runtime.backoff import Backoff
from tests.support.receiver import Received, is_signed

T = TypeVar("T")
# 200 of them: DARTBOARD_WEBHOOK_KILLS=200 pytest tests/e2e/test_webhook_kills.py, 20 minutes
KILLS = int(os.environ.get("DARTBOARD_WEBHOOK_KILLS", "8"))
SECONDS = 120 + 5 * KILLS

pytestmark = pytest.mark.timeout(2 * SECONDS)


class Victim:
    """The receiver's process, on one port and with one file from life to life."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._file = folder / "received.jsonl"
        self._process = self._started()

    @property
    def received(self) -> list[Received]:
        if not self._file.exists():
            return []
        lines = map(json.loads, self._file.read_text().splitlines())
        return [Received(line["headers"], line["body"].encode()) for line in lines]

    def kill(self) -> None:
        """SIGKILL, and start it again."""
        self.end()
        self._process = self._started()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _started(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.support.receiver_process", str(self.port), str(self._file)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    victim = Victim(tmp_path)
    yield victim
    victim.end()


def answered(ask: Callable[[], T]) -> T:
    """Ask until the API is back."""
    deadline, backoff = time.monotonic() + 120, Backoff(0.05, 0.5)
    while True:
        try:
            return ask()
        except ServiceUnreachableError:
            assert time.monotonic() < deadline
            time.sleep(backoff.pause())


def cancel(dartboard: Dartboard, job_id: UUID) -> None:
    """Once, although the answer of the first time may have been lost."""
    with suppress(ProblemError):  # 409
        answered(lambda: dartboard.cancel(job_id))
    assert answered(lambda: dartboard.job(job_id)).status == "cancelled"


def test_every_event_arrives_and_every_message_is_signed(tmp_path: Path, victim: Victim) -> None:
    draw = random.Random(KILLS)
    environment = {"DARTBOARD_WEBHOOK_HOSTS": "127.0.0.1", "DARTBOARD_WEBHOOK_RETRY_SECONDS": "0.1"}
    with (
        LocalStack(tmp_path / "data", port=0, workers=0, environment=environment) as stack,
        Dartboard(stack.url) as dartboard,
    ):
        created = dartboard.add_webhook(f"http://127.0.0.1:{victim.port}/")
        ended = set()
        for _ in range(KILLS):
            key = str(uuid4())
            job = answered(
                lambda key=key: dartboard.submit("search", {"dataset": "digits"}, idempotency_key=key)  # type: ignore[misc]
            )
            cancel(dartboard, job.id)
            ended.add(str(job.id))
            time.sleep(draw.uniform(0, 1.2))  # a moment, drawn: some kills are before the try, some in it or behind it
            if draw.random() < 0.5:
                stack.processes["api"].kill()
            else:
                victim.kill()
        waiting = answered(lambda: dartboard.submit("search", {"dataset": "digits"}, idempotency_key=str(uuid4())))
        deadline = time.monotonic() + SECONDS
        while any(each.state == "pending" for each in answered(lambda: list(dartboard.deliveries(created.id)))):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        deliveries = answered(lambda: list(dartboard.deliveries(created.id)))
    told = [json.loads(request.body) for request in victim.received]
    assert {each["data"]["job"]["id"] for each in told} == ended, "of jobs that have ended, all of them, and no other"
    assert str(waiting.id) not in ended
    assert {each["type"] for each in told} == {"job.cancelled"}
    assert all(is_signed(request, created.secret) for request in victim.received)
    assert len(deliveries) == KILLS == len({request.id for request in victim.received})
    assert {each.state for each in deliveries} == {"delivered"}
