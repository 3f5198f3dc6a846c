"""The service while the disk of its logs is full."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from api.schemas.worker import Claim
from client.local.stack import LocalStack
from client.sdk import Dartboard
from worker.api_client import WorkerApi

pytestmark = [pytest.mark.stack, pytest.mark.slow]

_ENVIRONMENT = {"DARTBOARD_LEASE_SECONDS": "1", "DARTBOARD_SWEEP_SECONDS": "0.1"}


@pytest.fixture
def log_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system with room for a few log lines."""
    path = tmp_path_factory.mktemp("log-disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("a small file system can only be mounted as root")
    yield path
    subprocess.run(["umount", path], check=True)


def test_leases_end_streams_are_served_and_children_start_again_while_no_line_can_be_logged(
    log_disk: Path, tmp_path: Path
) -> None:
    data, reports = tmp_path / "data", queue.SimpleQueue[str]()
    data.mkdir(mode=0o700)
    (data / "logs").symlink_to(log_disk)
    with LocalStack(data, port=0, workers=0, environment=_ENVIRONMENT, report=reports.put) as stack:
        key = stack.processes["api"].command.environment["DARTBOARD_WORKER_KEY"]
        with (log_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(b"\0" * 512)
        while not _lost_lines(stack.url):  # the last block of its log has some room yet
            pass
        with Dartboard(stack.url) as dartboard, WorkerApi(stack.url, key) as worker:
            job = dartboard.submit("search", {"dataset": "digits", "epochs": 1})
            for attempt in (1, 2):
                claimed = worker.claim(Claim(worker="silent", pools=["default"], threads=1))
                assert claimed is not None
                assert claimed.attempt == attempt
                until_lost = (e for e in dartboard.follow(job) if e.kind == "status" and e.data["status"] == "queued")
                assert any(e.data["attempt"] == attempt for e in until_lost)
        stack.processes["api"].kill()
        assert reports.get(timeout=30).startswith("api ended (exit code -9")
        deadline = time.monotonic() + 60
        while _ready(stack.url) != 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _ready(stack.url) == 200


def _lost_lines(url: str) -> float:
    [lost] = re.findall(r"^dartboard_log_lines_lost_total (.*)$", httpx.get(f"{url}/metrics").text, re.M)
    return float(lost)


def _ready(url: str) -> int:
    try:
        return httpx.get(f"{url}/readyz").status_code
    except httpx.HTTPError:
        return 0
