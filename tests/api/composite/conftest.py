from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from client.sdk import Dartboard
from tests.support.simulated_worker import SimulatedWorker
from worker.api_client import WorkerApi


@pytest.fixture
def worker(dartboard: Dartboard, worker_api: WorkerApi, pool: str, tmp_path: Path) -> Iterator[SimulatedWorker]:
    worker = SimulatedWorker(dartboard, worker_api, tmp_path, pool)
    yield worker
    worker.leave()
