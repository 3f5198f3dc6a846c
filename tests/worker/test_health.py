"""A container's healthcheck asks the metrics that this host's workers really serve."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest

from worker.metrics import serve_metrics

SHOWING = """
import sys
from pathlib import Path
from worker.prometheus import keep, metrics
keep(Path(sys.argv[1]), "main")
metrics().show([], float(sys.argv[2]))
"""


def show(state: Path, now: float) -> None:
    """Leave the files of a worker's main process that showed itself then."""
    run([sys.executable, "-c", SHOWING, str(state), str(now)], check=True)


pytestmark = pytest.mark.light


def ask(port: int) -> CompletedProcess[str]:
    environment = os.environ | {"DARTBOARD_METRICS_PORT": str(port)}
    return run([sys.executable, "-m", "worker.health"], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_a_host_is_healthy_while_all_its_workers_show_themselves(tmp_path: Path, port: int) -> None:
    states = {name: tmp_path / name for name in ("host-1", "host-2")}
    for state in states.values():
        show(state, time.time())
    serve_metrics(states, "127.0.0.1", port)
    assert ask(port).returncode == 0
    show(states["host-2"], time.time() - 60)
    asked = ask(port)
    assert asked.returncode == 1
    assert "host-2" in asked.stdout
    assert "host-1" not in asked.stdout


def test_a_host_that_does_not_answer_is_not_healthy(port: int) -> None:
    asked = ask(port)
    assert asked.returncode == 1
    assert f"no metrics at port {port}" in asked.stdout


def test_a_host_that_serves_no_metrics_is_not_asked() -> None:
    assert ask(0).returncode == 0
