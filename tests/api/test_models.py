"""Models: checkpoints as versions with stage labels, which keep their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.schemas.jobs import JobOut
from client.cli import call
from client.errors import ProblemError
from tests.support.checkpoint_files import ours
from tests.support.service import Bench


@pytest.fixture
def name() -> str:
    return f"pets-{uuid4().hex[:8]}"


@pytest.fixture
def evaluation(bench: Bench) -> JobOut:
    """With a best epoch 1 and a last one 2."""
    body = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 2, "pool": bench.pool}
    job = bench.dartboard.submit("evaluation", body)
    attempt = bench.claim()
    attempt.report(1, b"the best one", validation_accuracy=90.0)
    attempt.report(2, b"the last one", validation_accuracy=80.0)
    attempt.finish()
    return job


def refused(call_: Callable[[], object]) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        call_()
    return caught.value


def test_checkpoints_become_versions_in_order(bench: Bench, evaluation: JobOut, name: str, http: httpx.Client) -> None:
    best = bench.dartboard.add_model(name, evaluation.id, stage="staging", note="the first")
    last = bench.dartboard.add_model(name, evaluation.id, epoch="last")
    assert [(v.version, v.epoch, v.stage, v.note) for v in (best, last)] == [
        (1, 1, "staging", "the first"),
        (2, 2, None, None),
    ]
    assert best.metrics["validation_accuracy"] == 90.0
    assert http.get(best.links["download"]).content == b"the best one"
    model = bench.dartboard.model(name)
    assert (model.family, model.versions, model.latest, model.stages) == ("cnn", 2, 2, {"staging": 1})
    assert model.items == [last, best]
    assert name in [each.name for each in bench.dartboard.models()]
    assert bench.dartboard.model_version(name) == last
    assert bench.dartboard.model_version(name, "staging") == best


def test_the_same_checkpoint_is_one_version(evaluation: JobOut, name: str, http: httpx.Client) -> None:
    body = {"name": name, "evaluation_id": str(evaluation.id)}
    first, second = http.post("/models", json=body), http.post("/models", json=body)
    assert [first.status_code, second.status_code] == [201, 200]
    assert first.json() == second.json()
    assert first.headers["location"] == f"/models/{name}/1"


def test_a_stage_is_of_one_version_at_a_time(bench: Bench, evaluation: JobOut, name: str) -> None:
    bench.dartboard.add_model(name, evaluation.id, stage="production")
    bench.dartboard.add_model(name, evaluation.id, epoch="last", stage="production")
    assert bench.dartboard.model(name).stages == {"production": 2}
    bench.dartboard.update_model(name, 1, stage="production")
    assert bench.dartboard.model(name).stages == {"production": 1}
    bench.dartboard.update_model(name, "production", stage=None)
    assert bench.dartboard.model(name).stages == {}


def test_a_version_keeps_its_job_from_deletion(bench: Bench, evaluation: JobOut, name: str) -> None:
    bench.dartboard.add_model(name, evaluation.id)
    problem = refused(lambda: bench.dartboard.delete(evaluation.id))
    assert (problem.status, problem.detail) == (
        409,
        f"version 1 of the model {name} keeps this checkpoint: delete that version first",
    )
    bench.dartboard.remove_model(name, 1)
    bench.dartboard.delete(evaluation.id)
    assert bench.dartboard.model(name).versions == 0


def test_a_version_keeps_its_upload_from_deletion(bench: Bench, name: str, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(ours())
    upload = bench.dartboard.upload_checkpoint(tmp_path / "x.pt")
    version = bench.dartboard.add_model(name, upload.id)
    assert (version.checkpoint_id, version.job_id, version.sha256) == (upload.id, None, upload.sha256)
    assert refused(lambda: bench.dartboard.delete_checkpoint(upload.id)).status == 409
    bench.dartboard.remove_model(name)
    bench.dartboard.delete_checkpoint(upload.id)


def test_a_version_keeps_its_epoch_while_the_job_goes_on(bench: Bench, name: str, http: httpx.Client) -> None:
    search = bench.submit(epochs=3)
    attempt = bench.claim()
    attempt.report(1, b"early")
    version = bench.dartboard.add_model(name, search.id)
    attempt.report(2)
    attempt.report(3)
    attempt.finish()
    assert [each.epoch for each in bench.dartboard.checkpoints(search.id)] == [3, 1]
    assert http.get(version.links["download"]).content == b"early"


def test_a_number_is_not_given_again(bench: Bench, evaluation: JobOut, name: str) -> None:
    bench.dartboard.add_model(name, evaluation.id)
    bench.dartboard.remove_model(name, 1)
    assert bench.dartboard.add_model(name, evaluation.id).version == 2


def test_a_model_is_of_one_family(bench: Bench, evaluation: JobOut, name: str) -> None:
    bench.dartboard.add_model(name, evaluation.id)
    words = {"family": "rnn", "dataset": "python-docs", "genotype": "DARTS_V2", "epochs": 1, "pool": bench.pool}
    other = bench.dartboard.submit("evaluation", words)
    bench.claim().report(1)
    problem = refused(lambda: bench.dartboard.add_model(name, other.id))
    assert problem.status == 409
    assert problem.detail == f"the model {name} is of family 'cnn', the checkpoint of 'rnn'"


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({}, 422, "exactly one of"),
        ({"checkpoint_id": str(uuid4())}, 404, "checkpoint"),
        ({"checkpoint_id": str(uuid4()), "name": "../x"}, 422, "name"),
        ({"checkpoint_id": str(uuid4()), "stage": "Two words"}, 422, "stage"),
        ({"checkpoint_id": str(uuid4()), "stage": "latest"}, 422, "names the newest version"),
        ({"checkpoint_id": str(uuid4()), "stages": "x"}, 422, "did you mean 'stage'"),
    ],
)
def test_a_bad_request_names_its_field(
    http: httpx.Client, name: str, fields: dict[str, Any], status: int, says: str
) -> None:
    answer = http.post("/models", json={"name": name, **fields})
    assert answer.status_code == status
    assert says in answer.text


def test_unknown_models_and_versions_are_404(bench: Bench, evaluation: JobOut, name: str) -> None:
    assert refused(lambda: bench.dartboard.model(name)).status == 404
    bench.dartboard.add_model(name, evaluation.id)
    problem = refused(lambda: bench.dartboard.model_version(name, "production"))
    assert (problem.status, problem.detail) == (404, f"the model {name} has no version 'production'; versions: 1")


def test_a_version_is_part_of_the_lineage(bench: Bench, evaluation: JobOut, name: str) -> None:
    version = bench.dartboard.add_model(name, evaluation.id)
    for start in (version.id, evaluation.id):
        found = bench.dartboard.lineage(start)
        nodes = {node.id: node for node in found.nodes}
        assert nodes[str(version.id)].name == f"{name}/1"
        assert nodes[str(version.id)].checksum == version.sha256
        edges = {(edge.origin, edge.result) for edge in found.edges}
        assert (str(version.checkpoint_id), str(version.id)) in edges
        assert (str(evaluation.id), str(version.checkpoint_id)) in edges


def test_the_command_adds_labels_and_removes(
    bench: Bench, evaluation: JobOut, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def models(*arguments: str) -> str:
        assert call(["models", *arguments, "--url", bench.dartboard.url]) == 0
        return capsys.readouterr().out

    assert models("add", name, str(evaluation.id)).startswith(f"{name}/1 sha256 ")
    assert models("stage", name, "latest", "production").startswith(f"{name}/1 production ")
    assert "production: 1" in models("list")
    assert str(evaluation.id) in models("show", name, "--wide")
    assert models("remove", name, "production") == f"removed {name}/production\n"
