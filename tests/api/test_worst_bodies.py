"""No body that the schemas allow stops the API: errors, answers and memory are bounded. A benchmark has the times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from benchmarks.hostile_bodies import hostile_bodies
from benchmarks.worst_bodies import cost_of
from client.local.stack import LocalStack

pytestmark = pytest.mark.slow

_MOST_ERRORS, _MOST_ANSWERED = 50, 64 * 2**10
_MOST_MEMORY = 96 * 2**20


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A service of its own, whose memory is its own doing."""
    with LocalStack(tmp_path_factory.mktemp("hostile"), port=0, workers=0) as running:
        yield running


def test_the_worst_bodies_of_every_route_are_bounded(stack: LocalStack) -> None:
    process = stack.processes["api"]
    assert process.pid is not None
    worker = {"X-API-Key": process.command.environment["DARTBOARD_WORKER_KEY"], "X-Attempt-Token": "t" * 40}
    asked: set[str] = set()
    with httpx.Client(base_url=stack.url, timeout=300) as http:
        document = http.get("/openapi.json").json()
        for hostile in hostile_bodies(document):
            cost = cost_of(http, hostile, worker if hostile.route.startswith("/worker") else {}, process.pid)
            asked.add(cost.route)
            assert cost.status < 500, cost
            assert cost.errors <= _MOST_ERRORS, cost
            assert cost.answer <= _MOST_ANSWERED, cost
            assert cost.memory <= _MOST_MEMORY, cost
            if hostile.route == "/checkpoints" and hostile.what.startswith("a file"):
                assert cost.children == ["api.checkpoints.inspect_child"], cost
    bodies = {
        f"{method.upper()} {route}"
        for route, operations in document["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation
    }
    assert bodies - asked == {"PUT /worker/attempts/{attempt_id}/files/{name}"} - asked


def test_errors_are_counted_beyond_the_fiftieth(http: httpx.Client) -> None:
    answer = http.post("/searches", json={"dataset": "digits", **{f"k{i}": i for i in range(120)}})
    assert answer.status_code == 422
    problem = answer.json()
    assert (len(problem["errors"]), problem["more"]) == (50, 70)
    assert problem["detail"].endswith("; and 115 more")
    # The fields of an object are listed once.
    assert sum("allowed" in error for error in problem["errors"]) == 1


def test_contents_of_texts_are_not_counted_as_values(http: httpx.Client) -> None:
    text = 'Genotype(normal=["' + "a,[{" * 5_000
    answer = http.post("/genotypes", json={"name": "commas", "genotype": text})
    assert answer.json()["errors"][0]["loc"] == ["body", "genotype"], answer.text


@pytest.mark.parametrize(
    "body", [b'{"a": "\\', b'"' * 50_000, b'{"a": "' + b'\\"' * 50_000 + b'"}', b'"\\\\",' * 9_000]
)
def test_broken_texts_are_refused_or_read_like_others(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/searches", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text


def test_a_long_value_and_a_long_name_are_cut_in_the_answer(http: httpx.Client) -> None:
    body: dict[str, Any] = {"dataset": "x" * 500_000, "y" * 200_000: "z" * 100_000}
    answer = http.post("/searches", json=body)
    assert answer.status_code == 422
    assert len(answer.content) < 8_000
