"""Messages of a first start and of the demo beside their results."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from rich.console import Console

from api.schemas.jobs import JobOut
from client.cli import call
from client.commands.demo import _IMAGES, _download, _explain_epochs
from client.commands.local import announcing
from client.options import DEFAULT_DATA

pytestmark = pytest.mark.light


def test_a_folder_that_is_started_for_the_first_time_is_named_as_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages: list[str] = []
    stage = announcing(tmp_path, stages.append)
    assert capsys.readouterr().err == ""
    stage("starting Postgres")
    stage("starting the API")
    assert capsys.readouterr().err.count(f"first start with {tmp_path}: no jobs yet") == 1
    assert stages == ["starting Postgres", "starting the API"]
    (tmp_path / "secrets.json").touch()
    announcing(tmp_path, stages.append)("starting Postgres")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "port", "told"),
    [((), 8000, False), (("--port", "18811"), 18811, True), (("--data", "x"), 8000, True)],
)
def test_up_names_its_address_for_other_terminals_where_they_do_not_find_it(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: tuple[str, ...],
    port: int,
    told: bool,
) -> None:
    stack = MagicMock()
    stack.return_value.__enter__.return_value.url = f"http://127.0.0.1:{port}"
    monkeypatch.setattr("client.local.stack.LocalStack", stack)
    monkeypatch.chdir(tmp_path)
    assert call(["up", *arguments]) == 0
    assert (f"export DARTBOARD_URL=http://127.0.0.1:{port}\n" in capsys.readouterr().out) is told


def test_the_demos_curl_line_is_the_one_that_works_after_up(tmp_path: Path) -> None:
    file = tmp_path / "demo.pt"
    file.touch()
    service: Any = SimpleNamespace(
        url="http://127.0.0.1:40123",
        checkpoint_path=lambda job_id: f"/evaluations/{job_id}/checkpoint",
        download_checkpoint=lambda job_id, folder: file,
    )
    evaluation: Any = SimpleNamespace(id=7)
    later = (
        "curl -OJ http://127.0.0.1:8000/evaluations/7/checkpoint\n(once the demo has ended and `./dartboard up` has "
    )
    for data, line in {
        DEFAULT_DATA: later,
        Path("x"): "`./dartboard up --data x`",
        None: "curl -OJ http://127.0.0.1:40123/evaluations/7/checkpoint\nsaved",
    }.items():
        said = io.StringIO()
        _download(service, evaluation, Console(file=said, width=400), data)
        assert line in said.getvalue()


def explained(best: dict[str, float], last: dict[str, float]) -> str:
    fields: dict[str, Any] = dict.fromkeys(JobOut.model_fields)
    evaluation = JobOut.model_construct(**{**fields, "best": best, "metrics": last, "spec": {"epochs": 18}})
    said = io.StringIO()
    _explain_epochs(evaluation, _IMAGES, Console(file=said, width=400))
    return said.getvalue()


def test_the_demo_explains_why_the_last_epochs_accuracy_is_another() -> None:
    said = explained({"epoch": 14}, {"test_accuracy": 98.89})
    assert said == (
        "test accuracy of the last epoch, 18: 98.89 %; of the file, which holds epoch 14, the best on the validation "
        "part:\n"
    )


def test_the_demo_has_nothing_to_explain_where_the_last_epoch_is_the_best() -> None:
    assert explained({"epoch": 18}, {"test_accuracy": 98.89}) == ""
