"""The main job: search, retrain, download, use."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard
from darts_core.genotypes import parse, to_python


@pytest.fixture(scope="module")
def search(stack: LocalStack) -> JobOut:
    with Dartboard(stack.url) as dartboard:
        job = dartboard.submit("search", {"dataset": "digits", "epochs": 3, "channels": 4, "layers": 3})
        return dartboard.wait(job)


@pytest.fixture(scope="module")
def evaluation(stack: LocalStack, search: JobOut) -> JobOut:
    with Dartboard(stack.url) as dartboard:
        body = {"search_id": str(search.id), "epochs": 3, "channels": 4, "layers": 3}
        return dartboard.wait(dartboard.submit("evaluation", body))


def test_a_search_streams_each_epoch_once_with_alphas_that_move(dartboard: Dartboard, search: JobOut) -> None:
    events = list(dartboard.follow(search))
    epochs = [e.data for e in events if e.kind == "epoch"]
    assert search.status == "succeeded"
    assert [e["epoch"] for e in epochs] == [1, 2, 3]
    assert all(len(e["alphas"][cell]) == 14 for e in epochs for cell in ("normal", "reduce"))
    assert all(len(row) == 8 for e in epochs for cell in ("normal", "reduce") for row in e["alphas"][cell])
    for cell in ("normal", "reduce"):
        assert len({json.dumps(e["alphas"][cell]) for e in epochs}) == 3
    assert events[-1].kind == "end"


def test_the_genotype_is_readable_in_both_formats(stack: LocalStack, dartboard: Dartboard, search: JobOut) -> None:
    genotype = dartboard.genotype(search.id)
    text = httpx.get(f"{stack.url}/searches/{search.id}/genotype?format=python").text.strip()
    assert genotype.text == text == to_python(parse(text))
    assert genotype.epoch == 3
    assert dartboard.genotype(search.id, epoch=1).epoch == 1


def test_alphas_come_raw_and_softmaxed(dartboard: Dartboard, search: JobOut) -> None:
    alphas = dartboard.alphas(search.id)
    assert alphas.primitives[0] == "none"
    for cell in ("normal", "reduce"):
        assert [sum(row) for row in alphas.weights[cell]] == pytest.approx([1.0] * 14)


def test_the_downloaded_checkpoint_is_the_stored_one_and_runs_in_a_fresh_process(
    stack: LocalStack, dartboard: Dartboard, evaluation: JobOut, tmp_path: Path, data: Path
) -> None:
    assert evaluation.status == "succeeded", evaluation.error
    path = dartboard.download_checkpoint(evaluation.id, tmp_path, epoch="last")
    etag = httpx.head(f"{stack.url}{dartboard.checkpoint_path(evaluation.id, 'last')}").headers["ETag"]
    assert etag == f'"{hashlib.sha256(path.read_bytes()).hexdigest()}"'
    command = [sys.executable, "-m", "darts_core.scoring", str(path), "--data-root", str(data / "datasets")]
    scored = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert scored["images"] == 360
    assert evaluation.metrics is not None
    assert scored["accuracy"] == pytest.approx(evaluation.metrics["test_accuracy"])


def test_the_workers_log_lines_are_served(dartboard: Dartboard, search: JobOut) -> None:
    lines = [line.message for line in dartboard.logs(search.id)]
    assert any(line.startswith("epoch 3: ") for line in lines)


def test_the_command_does_it_all(
    stack: LocalStack, search: JobOut, tmp_path: Path, submit: Callable[..., JobOut]
) -> None:
    def dartboard(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "client.cli", *arguments, "--url", stack.url]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    small = ["--channels", "4", "--layers", "3", "--epochs", "1"]
    searched = dartboard("search", "--nodes", "2", *small, "--set", 'labels={"by":"command"}')
    assert searched.returncode == 0, searched.stderr
    assert searched.stdout.startswith("Genotype(normal=")
    [listed] = json.loads(dartboard("jobs", "--label", "by=command", "--json").stdout)
    assert listed["status"] == "succeeded"
    assert dartboard("genotype", listed["id"]).stdout == searched.stdout
    evaluated = dartboard("evaluate", listed["id"], *small)
    assert evaluated.returncode == 0, evaluated.stderr
    evaluation_id = evaluated.stdout.split()[-1]
    assert (tmp_path / dartboard("download", evaluation_id).stdout.strip()).stat().st_size > 10_000
    assert dartboard("watch", evaluation_id).returncode == 0
    waiting = dartboard("search", "--detach", *small, "--set", "pool=unserved").stdout.strip()
    assert "cancelled" in dartboard("cancel", waiting).stdout
    assert dartboard("cancel", waiting).returncode == 2
    assert dartboard("watch", waiting).returncode == 1
