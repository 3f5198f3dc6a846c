"""JSON answers are compressed for clients that ask for JSON; downloads and streams are not."""

from __future__ import annotations

import httpx
import pytest

from tests.support.service import Bench

JSON = {"Accept": "application/json"}


def test_a_list_is_compressed_for_a_client_that_asks_for_json(http: httpx.Client, bench: Bench) -> None:
    bench.submit()
    answer = http.get("/jobs", headers=JSON)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "accept-encoding" in answer.headers["Vary"].lower()
    assert answer.json()["items"]


@pytest.mark.parametrize("headers", [{"Accept": "*/*"}, {**JSON, "Accept-Encoding": "identity"}])
def test_for_others_it_is_as_it_was(http: httpx.Client, headers: dict[str, str]) -> None:
    assert "Content-Encoding" not in http.get("/jobs", headers=headers).headers


def test_a_stream_of_events_is_not_held_back(http: httpx.Client) -> None:
    with http.stream("GET", "/events?active=true", headers={"Accept": "application/json, text/event-stream"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert "ready" in next(line for line in answer.iter_lines() if line.startswith("event:"))
