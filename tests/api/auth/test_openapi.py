"""The OpenAPI document against the running service, with a key of each role: schemathesis makes up the requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api.schemas.jobs import JobKind
from client.sdk import Dartboard
from tests.support.checkpoint_files import ours
from tests.support.keys import Guarded, submitted
from tests.support.service import Bench
from tests.support.simulated_worker import SimulatedWorker
from worker.api_client import WorkerApi

pytestmark = pytest.mark.slow

EXAMPLES = 2  # requests of each kind that are made up for an operation
# Fields that contradict each other, names that stand for nothing and files that are none fit the document, but no
# document can say so: they are 422, and what is refused is tested by name elsewhere.
NOT_CHECKED = "positive_data_acceptance"


@pytest.fixture(scope="session")
def real(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Things that are there, by the paths that take them: with made-up ids alone most answers would be 404."""
    key, folder = guarded.make("user", "ada").key, tmp_path_factory.mktemp("real")
    worker_api = WorkerApi(guarded.url, guarded.worker_key)
    with Dartboard(guarded.url, key) as dartboard, guarded.http(key) as http, worker_api:
        bench = Bench(dartboard, worker_api, "real", folder)
        # Ended for good: its events end, too, and nothing that is sent to it changes that.
        search = bench.submit(epochs=1)
        training = bench.claim()
        table = [[0.1 * column for column in range(8)] for _ in range(14)]
        training.report(1, alphas={"normal": table, "reduce": table})
        training.finish()
        evaluation = dartboard.submit(
            "evaluation", {"genotype": "DARTS_V2", "dataset": "digits", "epochs": 1, "pool": "real"}
        )
        training = bench.claim()
        training.report(1)
        training.finish()
        checkpoint = http.post("/checkpoints", files={"file": ("my.pt", ours())}).json()["id"]
        score = dartboard.submit("score", {"checkpoint_id": checkpoint, "pool": "real"})
        training = bench.claim()
        training.report(1)
        training.finish()
        worker = SimulatedWorker(dartboard, worker_api, folder, "real-trees")
        study, committee = map(worker.work_until_ended, (worker.study(), worker.committee()))
        [ensemble] = [child for child in worker.children(committee).values() if child.kind is JobKind.ENSEMBLE]
        submitted(http, pool="real")
        attempt = bench.claim().claimed
    spare = guarded.make("viewer")
    return {
        "/(searches|jobs)/": {"path.job_id": str(search.id)},
        "/evaluations/": {"path.job_id": str(evaluation.id)},
        "/scores/": {"path.job_id": str(score.id)},
        "/ensembles/": {"path.job_id": str(ensemble.id)},
        "/studies/": {"path.job_id": str(study.id)},
        "/committees/": {"path.job_id": str(committee.id)},
        "/checkpoints/": {"path.checkpoint_id": checkpoint},
        "/datasets/": {"path.name": "digits"},
        "/genotypes/": {"path.name": "DARTS_V2"},
        "/keys/": {"path.key_id": str(spare.id)},
        "/worker/attempts/": {"path.attempt_id": str(attempt.attempt_id), "header.X-Attempt-Token": attempt.token},
    }


@pytest.fixture
def config(real: dict[str, dict[str, str]], tmp_path: Path) -> Path:
    lines: list[Any] = ["continue-on-failure = true", "request-timeout = 20", "max-stream-events = 20"]
    for path, parameters in real.items():
        fields = ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in parameters.items())
        # What is deleted is made up, so that the rest stays there.
        lines += ["[[operations]]", f'include-path-regex = "^{path}"', 'exclude-method = "DELETE"']
        lines += [f"parameters = {{ {fields} }}"]
    written = tmp_path / "schemathesis.toml"
    written.write_text("\n".join(lines))
    return written


@pytest.mark.parametrize("role", ["viewer", "user", "admin", "worker"])
def test_no_made_up_request_gets_a_5xx_or_an_answer_that_is_not_documented(
    guarded: Guarded, config: Path, role: str
) -> None:
    key = guarded.make(role, requests_per_second=10_000).key
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "--no-color"]
    command += ["run", f"{guarded.url}/openapi.json", "-H", f"Authorization: Bearer {key}"]
    command += ["--checks", "all", "--exclude-checks", NOT_CHECKED, "--phases", "examples,fuzzing"]
    command += ["--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-shrink"]
    ended = subprocess.run(
        command, cwd=config.parent, env={**os.environ, "NO_PROXY": "*"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-2000:]
    print(ended.stdout)
