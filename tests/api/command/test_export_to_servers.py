"""`dartboard export` to MLflow's own server and to W&B's offline runs, in the packages' own environments."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from api.schemas.jobs import JobOut
from tests.support.command import Caller
from tests.support.service import Bench, Service
from tests.support.tracked_jobs import EPOCHS, ROOT, install, report, searched

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of MLflow's server, from its wheel."""
    packages, data = tmp_path_factory.mktemp("mlflow"), tmp_path_factory.mktemp("mlflow-data")
    install(packages, "mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = ["--backend-store-uri", f"sqlite:///{data}/runs.db", "--artifacts-destination", str(data / "files")]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *places]
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    with subprocess.Popen(command, env=environment, cwd=data, start_new_session=True) as process:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while not answers(f"{url}/health"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield url
        os.killpg(process.pid, 15)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


def stored_run(server: str, job: JobOut) -> Run:
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("dartboard")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id], f"tags.`dartboard.job` = '{job.id}'")
    return run


def histories(server: str, run: Run) -> dict[str, list[tuple[int, int, float]]]:
    """Step, milliseconds and value of every metric."""
    client = MlflowClient(server)
    return {
        name: [(m.step, m.timestamp, m.value) for m in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }


def expected(bench: Bench, job: JobOut) -> dict[str, list[tuple[int, int, float]]]:
    found: dict[str, list[tuple[int, int, float]]] = {}
    edges = ("0-2", "1-2", "0-3", "1-3", "2-3")
    for epoch in bench.dartboard.epochs(job.id):
        values = {**epoch.metrics, "seconds": epoch.seconds}
        for cell, table in (epoch.alphas or {}).items():
            for edge, row in zip(edges, table, strict=True):
                for operation, alpha in zip(job.spec["primitives"], row, strict=True):
                    values[f"alphas/{cell}/{edge}/{operation}"] = alpha
        for name, value in values.items():
            found.setdefault(name, []).append((epoch.epoch, round(epoch.created_at.timestamp() * 1000), value))
    return found


def test_mlflow_reads_every_metric_equal_and_once_however_often_it_is_exported(
    server: str, at_service: Caller, bench: Bench
) -> None:
    search = bench.submit(epochs=EPOCHS, nodes=2, name="a search")
    training = bench.claim()
    for epoch in range(1, EPOCHS + 1):  # also while it runs
        report(training, epoch)
        outcome = at_service("export", str(search.id), "--to", "mlflow", "--server", server)
        assert outcome.code == 0, outcome.said
    assert stored_run(server, search).info.status == "RUNNING"
    training.finish()
    for _ in range(2):
        assert at_service("export", str(search.id), "--to", "mlflow", "--server", server).code == 0
    run, ended = stored_run(server, search), bench.dartboard.job(search.id)
    assert histories(server, run) == expected(bench, search)
    assert (run.info.run_name, run.info.status) == ("a search", "FINISHED")
    assert ended.finished_at is not None
    assert run.info.end_time == round(ended.finished_at.timestamp() * 1000)
    given = {name: str(value) for name, value in search.spec.items() if isinstance(value, int | float | str)}
    assert given.items() <= run.data.params.items()


def test_mlflow_keeps_spec_cell_checkpoint_and_model(
    server: str, at_service: Caller, bench: Bench, tmp_path: Path
) -> None:
    body = {"genotype": "DARTS_V2", "dataset": "digits", "epochs": 1, "channels": 2, "layers": 3, "batch_size": 512}
    (tmp_path / "spec.json").write_text(json.dumps({"kind": "evaluation", **body}))
    trained = tmp_path / "trained.pt"
    assert at_service("run", str(tmp_path / "spec.json"), "-o", str(trained)).code == 0
    evaluation = bench.dartboard.submit("evaluation", {**body, "pool": bench.pool})
    training = bench.claim()
    training.report(1, content=trained.read_bytes())
    training.finish()
    outcome = at_service("export", str(evaluation.id), "--to", "mlflow", "--server", server)
    assert outcome.code == 0, outcome.said

    run = stored_run(server, evaluation)
    files = Path(MlflowClient(server).download_artifacts(run.info.run_id, "", str(tmp_path)))
    assert json.loads((files / "spec.json").read_text()) == evaluation.spec
    assert json.loads((files / "genotype.json").read_text()) == evaluation.spec["genotype"]
    assert (files / "checkpoint" / "checkpoint.pt").read_bytes() == trained.read_bytes()
    assert (files / "model" / "network.safetensors").is_file()
    subprocess.run([sys.executable, "-c", "import network; network.load()"], cwd=files / "model", check=True)


def test_wandb_reads_every_metric_equal_from_its_offline_run(service: Service, bench: Bench, tmp_path: Path) -> None:
    packages, runs = tmp_path / "packages", tmp_path / "runs"
    install(packages, "wandb")
    search = searched(bench, name="a search")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(packages), *sys.path)),
        "DARTBOARD_URL": service.url,
    }
    export = [sys.executable, "-m", "client.cli", "export", str(search.id), "--to", "wandb", "-o", str(runs)]
    for _ in range(2):
        subprocess.run(export, env=environment, cwd=ROOT, check=True)
    [file] = runs.glob("wandb/offline-run-*/run-*.wandb")
    said = subprocess.run(
        [sys.executable, "-c", _READ, str(file)], env=environment, capture_output=True, text=True, check=True
    )
    rows: list[dict[str, Any]] = [json.loads(line) for line in said.stdout.splitlines()]
    found: dict[str, list[tuple[int, int, float]]] = {}
    for row in rows:
        time = round(row.pop("_timestamp") * 1000)
        for name, value in row.items():
            if not name.startswith("_"):
                found.setdefault(name, []).append((row["_step"], time, value))
    assert found == expected(bench, search)


# Prints the history of a run's file, a line for each step. The file is a log in LevelDB's format: records in blocks of
# 32 KiB, each with a checksum, a length and a type (1 whole, 2 first, 3 middle, 4 last part).
_READ = """
import json, struct, sys
from wandb.proto.wandb_internal_pb2 import Record

content, at, part = open(sys.argv[1], "rb").read(), 7, b""
while at + 7 <= len(content):
    if 2**15 - at % 2**15 < 7:
        at += 2**15 - at % 2**15
        continue
    _, length, kind = struct.unpack("<IHB", content[at : at + 7])
    part += content[at + 7 : at + 7 + length]
    at += 7 + length
    if kind in (1, 4):
        record, part = Record.FromString(part), b""
        if record.HasField("history"):
            items = record.history.item
            print(json.dumps({i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items}))
"""
