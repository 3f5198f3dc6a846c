from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from client.sdk import Dartboard
from worker.api_client import WorkerApi

from crews import Crew


@pytest.fixture
def crew(dartboard: Dartboard, worker_api: WorkerApi, pool: str, tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(dartboard, worker_api, tmp_path, pool)
    yield crew
    crew.leave()
