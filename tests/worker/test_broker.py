"""Messages on the broker that no API has sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from api.schemas.worker import wakeup_queue
from client.local.valkey import Valkey
from tests.support.unsupervised import unsupervised

MALFORMED = [
    b"",
    b"no JSON",
    b"\xff\xfe",
    b"null",
    b"7",
    b"[]",
    b"{}",
    json.dumps({"properties": {}}).encode(),
    json.dumps({"properties": {"delivery_tag": "a", "delivery_info": None}, "body": "%"}).encode(),
    json.dumps(
        {"properties": {"delivery_tag": "a", "body_encoding": "base64"}, "headers": {}, "body": "\udc00"}
    ).encode(),
    b"[" * 100_000,
]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Valkey]:
    with unsupervised(Valkey, tmp_path) as valkey:
        yield valkey


def test_malformed_messages_end_no_idle_worker(broker: Valkey, tmp_path: Path) -> None:
    environment = os.environ | {
        "REDIS_URL": broker.url,
        "DARTBOARD_URL": "http://127.0.0.1:9",
        "DARTBOARD_WORKER_KEY": "key-of-a-test-worker",
        "DARTBOARD_WORKER_STATE": str(tmp_path / "state"),
        "CUDA_VISIBLE_DEVICES": "",
    }
    queue = wakeup_queue(["default"], 1)
    log = tmp_path / "worker.log"
    with log.open("wb") as output, Redis.from_url(broker.url) as redis:
        worker = subprocess.Popen([sys.executable, "-m", "worker"], env=environment, stdout=output, stderr=output)
        try:
            for message in MALFORMED:
                redis.lpush(queue, message)
                deadline = time.monotonic() + 60
                while redis.llen(queue) and worker.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                assert worker.poll() is None, log.read_text()[-2000:]
                assert not redis.llen(queue), log.read_text()[-2000:]
        finally:
            worker.terminate()
            worker.wait(30)
    assert b"broker_message_rejected" in log.read_bytes()
