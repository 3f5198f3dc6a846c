"""`dartboard study` and `committee`, up to the body that they send."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from client.commands import studies

runner = CliRunner()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(studies, "submit_and_watch", lambda kind, body, *_, **__: found.append((kind, body)))
    return found


def ran(command: Any, *arguments: str) -> Any:
    app = typer.Typer()
    app.command()(command)
    return runner.invoke(app, arguments)


def test_options_become_the_parts_of_a_study(sent: list[tuple[str, dict[str, Any]]]) -> None:
    arguments = ["--seeds", "0,1", "--search-epochs", "2", "--final-runs", "5", "--grid", "order=1,2"]
    assert ran(studies.study, *arguments, "--set", "final.cutout=0").exit_code == 0
    assert sent == [
        (
            "study",
            {
                "seeds": [0, 1],
                "search": {"epochs": 2, "dataset": "digits"},
                "final_runs": 5,
                "grid": {"order": [1, 2]},
                "final": {"cutout": 0},
            },
        )
    ]


def test_a_grid_over_data_sets_leaves_the_searchs_open(sent: list[tuple[str, dict[str, Any]]]) -> None:
    ran(studies.study, "--grid", "dataset=digits,cifar10")
    assert sent == [("study", {"grid": {"dataset": ["digits", "cifar10"]}})]


def test_a_file_gives_the_body_and_options_change_it(tmp_path: Path, sent: list[tuple[str, dict[str, Any]]]) -> None:
    file = tmp_path / "spec.json"
    file.write_text(json.dumps({"search": {"dataset": "cifar10", "epochs": 50}, "final_runs": 3}))
    assert ran(studies.study, str(file), "--search-epochs", "25").exit_code == 0
    assert sent == [("study", {"search": {"dataset": "cifar10", "epochs": 25}, "final_runs": 3})]


def test_a_file_that_is_no_json_is_refused(tmp_path: Path, sent: list[tuple[str, dict[str, Any]]]) -> None:
    file = tmp_path / "spec.json"
    file.write_text("seeds: [0]")
    assert ran(studies.study, str(file)).exit_code == 2
    assert sent == []


def test_options_become_the_parts_of_a_committee(sent: list[tuple[str, dict[str, Any]]]) -> None:
    arguments = ["--spaces", "space1,space2", "--epochs", "4", "--combine", "mean", "--best", "2"]
    assert ran(studies.committee, *arguments).exit_code == 0
    assert sent == [
        (
            "committee",
            {
                "spaces": ["space1", "space2"],
                "search": {"dataset": "digits"},
                "evaluation": {"epochs": 4},
                "ensemble": {"combine": "mean", "select": {"best": 2}},
            },
        )
    ]
