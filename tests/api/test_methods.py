"""Search methods through the service: their list, a search by one, and a study that compares them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from api.schemas.methods import MethodOut
from client.cli import app
from client.sdk import Dartboard
from darts_core.configs.methods import METHODS
from tests.support.service import Bench
from tests.support.simulated_worker import STUDY


@pytest.fixture
def methods(dartboard: Dartboard) -> dict[str, MethodOut]:
    return {method.name: method for method in dartboard.methods()}


def test_every_method_is_listed_as_in_the_catalogue(methods: dict[str, MethodOut]) -> None:
    assert list(methods) == list(METHODS)
    for name, method in METHODS.items():
        found = methods[name]
        for field in (
            "title",
            "source",
            "summary",
            "cost",
            "most_gpus",
            "levels",
            "trains",
            "targets",
            "trains_alphas",
        ):
            assert getattr(found, field) == getattr(method, field)
        assert found.defaults == dict(method.defaults)
        assert (found.families, found.orders) == (list(method.families), list(method.orders))
        assert [(each.figure, each.source) for each in found.published] == [
            (each.figure, each.source) for each in method.published
        ]


def test_a_method_lists_its_fields_with_their_defaults(methods: dict[str, MethodOut]) -> None:
    found = {
        name: {field.name: field.rule or field.default for field in method.fields} for name, method in methods.items()
    }
    assert found["darts"] == {"weights_only_epochs": 0}
    assert found["gdas"] == {"temperature_start": 10, "temperature_end": 0.1, "weights_only_epochs": 0}
    assert found["beta-darts"]["beta_regularisation"] == "half the epochs"
    assert found["random"] == {}
    assert all(field.description for method in methods.values() for field in method.fields)


def test_a_default_is_the_one_that_a_spec_gets(bench: Bench, methods: dict[str, MethodOut]) -> None:
    for name, method in methods.items():
        spec = bench.submit(method=name, channels=16).spec
        defaults = {field.name: field.default for field in method.fields if field.rule is None}
        assert {field: spec[field] for field in defaults} == defaults
        assert {field: spec[field] for field in method.defaults} == method.defaults


def test_the_command_lists_the_methods(http: httpx.Client, methods: dict[str, MethodOut]) -> None:
    shown, printed = (
        CliRunner().invoke(app, ["methods", option, "--url", str(http.base_url)]) for option in ("--wide", "--json")
    )
    assert shown.exit_code == printed.exit_code == 0
    lines = {line.split()[0]: line for line in shown.stdout.splitlines()}
    assert list(lines) == ["method", *methods]
    assert "temperature_start=10, temperature_end=0.1" in lines["gdas"]
    assert "weight_decay=0.0081" in lines["r-darts-l2"]
    assert json.loads(printed.stdout) == {"items": [method.model_dump(mode="json") for method in methods.values()]}


def test_the_command_searches_by_a_method_with_its_fields(bench: Bench, http: httpx.Client) -> None:
    def searched(*settings: str) -> Any:
        line = ["search", *settings, f"--set=pool={bench.pool}", "--detach", "--json", "--url", str(http.base_url)]
        return CliRunner().invoke(app, line)

    job = json.loads(searched("--method=gdas", "--set=temperature_start=5", "--set=weights_only_epochs=2").stdout)
    expected = {"method": "gdas", "temperature_start": 5, "temperature_end": 0.1, "weights_only_epochs": 2}
    assert {name: job["spec"][name] for name in expected} == expected
    for settings, message in (
        (["--method=dart"], "method"),
        (["--method=darts", "--set=temperature_start=5"], "temperature_start: is a field of gdas, snas"),
        (["--method=drnas", "--family=rnn"], "drnas searches no recurrent cells"),
    ):
        refused = searched(*settings)
        assert refused.exit_code != 0
        assert message in f"{refused.output} {refused.exception}"


def test_a_study_compares_methods(http: httpx.Client, pool: str) -> None:
    body = {**STUDY, "grid": {"method": ["darts", "r-darts-l2", "gdas"]}, "pool": pool}
    answer = http.post("/studies", json=body)
    assert answer.status_code == 201, answer.text
    points = answer.json()["spec"]["points"]
    assert [(point["values"]["method"], point["search"]["method"]) for point in points] == [
        ("darts", "darts"),
        ("r-darts-l2", "r-darts-l2"),
        ("gdas", "gdas"),
    ]
    assert [point["search"]["temperature_start"] for point in points] == [None, None, 10]
    assert [point["search"]["weight_decay"] for point in points] == [3e-4, 81e-4, 3e-4]


def test_a_study_searches_with_several_weights_of_a_target(http: httpx.Client, pool: str) -> None:
    weights = [{"multiply_adds": {"weight": weight}} for weight in (0, 0.5)]
    answer = http.post("/studies", json={**STUDY, "grid": {"target": weights}, "pool": pool})
    assert answer.status_code == 201, answer.text
    points = answer.json()["spec"]["points"]
    assert [point["values"]["target"] for point in points] == weights
    assert [point["search"]["target"]["multiply_adds"]["weight"] for point in points] == [0, 0.5]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"grid": {"method": ["darts", "dart"]}}, ["body", "grid", "method"]),
        ({"grid": {"method": ["darts", "gdas"]}, "gpus": 2}, ["body", "gpus"]),
        ({"grid": {"target": [{"parameters": 3}, {"parameters": 3}]}}, ["body", "grid"]),
        ({"grid": {"target": [{"watts": 3}]}}, ["body", "grid", "target"]),
    ],
)
def test_a_grid_of_methods_is_refused_by_name(
    http: httpx.Client, pool: str, change: dict[str, Any], place: list[str]
) -> None:
    answer = http.post("/studies", json={**STUDY, **change, "pool": pool})
    assert answer.status_code == 422
    assert place[-1] in [part for error in answer.json()["errors"] for part in error["loc"]], answer.text
