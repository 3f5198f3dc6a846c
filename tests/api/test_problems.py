"""A refused request names the field, the value, the allowed values and the nearest name."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from api.schemas.alphas import Alphas
from api.schemas.jobs import LONGEST_REASON, shortened
from darts_core.genotypes.derive import softmax

_ID = "00000000-0000-4000-8000-000000000000"
_IDS = ("job_id", "checkpoint_id", "attempt_id", "key_id", "webhook_id", "delivery_id", "schedule_id", "start")
_PATH_VALUES = {**dict.fromkeys(_IDS, _ID), "cell": "normal", "name": "x", "owner": "x", "which": "1"}
_NOT_ASKED = {"/healthz", "/readyz"}


def _errors(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: list[dict[str, Any]] = answer.json()["errors"]
    return found


def test_every_route_refuses_a_query_parameter_that_it_does_not_take(
    http: httpx.Client, worker_headers: dict[str, str]
) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    asked = 0
    for path, operations in paths.items():
        for method, operation in operations.items():
            if path in _NOT_ASKED:
                continue
            url = path.format_map({**_PATH_VALUES, "checksum": "0" * 64})
            headers = worker_headers if path.startswith("/worker/") else {}
            answer = http.request(method.upper(), url, params={"bogus": "1"}, headers=headers)
            if method == "head":
                assert answer.status_code == 422, (method, path)
                continue
            (error,) = _errors(answer)
            assert error["loc"] == ["query", "bogus"], (method, path)
            known = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
            assert set(error["allowed"]) == known, (method, path)
            asked += 1
    assert asked > 60


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/"])
def test_probes_and_the_page_take_any(http: httpx.Client, path: str) -> None:
    assert http.get(path, params={"t": "1"}).status_code == 200


def test_a_misspelt_parameter_names_the_right_one(http: httpx.Client) -> None:
    answer = http.get("/genotypes/DARTS_V2", params={"presets": "imagenet"})
    (error,) = _errors(answer)
    assert error["nearest"] == "preset"
    assert error["allowed"] == ["family", "format", "preset"]
    assert "did you mean 'preset'?" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "loc", "nearest", "value"),
    [
        ({"dataset": "digits", "epoch": 3}, ["body", "epoch"], "epochs", "3"),
        ({"dataset": "digits", "order": 3}, ["body", "order"], None, "3"),
        ({"dataset": "digits", "space": "dart"}, ["body", "space"], "darts", '"dart"'),
        ({"dataset": "digits", "epochs": "many"}, ["body", "epochs"], None, '"many"'),
        ({"family": "rnn", "dataset": "ptb", "hiden_size": 3}, ["body", "hiden_size"], "hidden_size", "3"),
        ({"dataset": "digits", "labels": {"a": 5}}, ["body", "labels", "a"], None, "5"),
    ],
)
def test_a_bad_field_names_its_value_and_the_nearest_right_one(
    http: httpx.Client, body: dict[str, Any], loc: list[str], nearest: str | None, value: str
) -> None:
    answer = http.post("/searches", json=body)
    (error,) = _errors(answer)
    assert (error["loc"], error.get("nearest"), error["value"]) == (loc, nearest, value)
    assert "Extra inputs" not in answer.text
    assert "pydantic" not in answer.text
    assert "Input should" not in answer.text


@pytest.mark.parametrize("collection", ["studies", "committees"])
def test_a_field_deep_in_a_body_is_named_with_those_of_its_object(http: httpx.Client, collection: str) -> None:
    body = {"search": {"dataset": "digits"}, "grid" if collection == "studies" else "evaluation": {"spaces": ["darts"]}}
    (error,) = _errors(http.post(f"/{collection}", json=body))
    assert error["loc"][-1] == "spaces"
    assert ("space" if collection == "studies" else "epochs") in error["allowed"]


def test_a_form_of_a_data_set_is_refused_in_the_same_words(http: httpx.Client) -> None:
    (error,) = _errors(http.post("/datasets", json={"name": "a", "path": "b", "sise": 4}))
    assert (error["nearest"], error["value"]) == ("size", "4")


def test_names_that_no_answer_can_hold_are_refused_all_the_same(http: httpx.Client) -> None:
    """Half a surrogate is legal JSON, and cannot be sent as UTF-8."""
    for body in (b'{"dataset": "digits", "\\ud800": 1}', b'{"dataset": "\\ud800\\u0000"}', b'{"\\u0000": 1}'):
        answer = http.post("/searches", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/searches", {"dataset": "digits\x00"}),
        ("/searches", {"dataset": "digits", "name": "a\x00b"}),
        ("/evaluations", {"dataset": "digits\x00", "genotype": "DARTS_V2"}),
        ("/genotypes", {"name": "a\x00b", "genotype": "DARTS_V2"}),
        ("/datasets", {"name": "a", "path": "a\x00b"}),
    ],
)
def test_a_nul_character_is_refused(http: httpx.Client, path: str, body: dict[str, Any]) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == 422, answer.text


def test_alphas_beyond_all_floats_are_refused_and_stored_ones_have_weights() -> None:
    tables = {"normal": [[1e308, -1e308]], "reduce": [[0.0, 1.0]]}
    with pytest.raises(ValidationError):
        TypeAdapter(Alphas).validate_python(tables)
    assert softmax([10**308, -(10**308)]) == [1.0, 0.0]


@pytest.mark.parametrize("length", [100, 1_000_000])
def test_a_long_error_keeps_its_beginning_and_its_end(length: int) -> None:
    text = "first line" + "x" * length + "last line"
    kept = shortened(text, LONGEST_REASON)
    assert len(kept) <= LONGEST_REASON
    assert kept.startswith("first line")
    assert kept.endswith("last line")
