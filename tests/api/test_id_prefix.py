"""Ids may be given by their beginning, in the lists of the API and in every method of the SDK."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.schemas.jobs import JobOut
from client.errors import ProblemError
from client.sdk import Dartboard
from tests.support.service import Bench


@pytest.fixture
def job(bench: Bench) -> JobOut:
    return bench.submit()


def begun(job_id: UUID) -> str:
    """All digits but the last, which are its own."""
    return str(job_id)[:-1]


@pytest.mark.parametrize("cut", [str, begun, lambda i: i.hex[:-1], lambda i: begun(i).upper(), lambda i: i])
def test_a_job_is_found_by_its_id_and_by_the_beginning_of_it(
    dartboard: Dartboard, job: JobOut, cut: Callable[[UUID], Any]
) -> None:
    assert dartboard.job(cut(job.id)).id == job.id


def test_every_method_takes_the_beginning_of_an_id(dartboard: Dartboard, job: JobOut) -> None:
    prefix = begun(job.id)
    assert dartboard.pause(prefix).status == "paused"
    assert dartboard.resume(prefix).status == "queued"
    assert dartboard.update(prefix, name="again").name == "again"
    assert dartboard.cancel(prefix).status == "cancelled"
    assert (dartboard.epochs(prefix), dartboard.logs(prefix)) == ([], [])
    assert [event.kind for event in dartboard.follow(prefix)][-1] == "end"
    dartboard.delete(prefix)
    with pytest.raises(ProblemError, match="none of the jobs has an id that begins with") as found:
        dartboard.job(prefix)
    assert found.value.status == 404


def test_the_beginning_of_several_ids_is_refused_with_some_of_them(dartboard: Dartboard, bench: Bench) -> None:
    ids = [bench.submit().id for _ in range(2)]
    with pytest.raises(ProblemError, match="several ids begin with 0") as found:
        dartboard.cancel("0")
    assert found.value.status == 409
    assert all(dartboard.job(i).status == "queued" for i in ids)


@pytest.mark.parametrize("text", ["", "a b", "../jobs", "xyz", "-", "0" * 40, "\x00", "é"])
def test_a_text_that_begins_no_id_is_refused(dartboard: Dartboard, text: str) -> None:
    with pytest.raises(ProblemError, match="is not an id") as found:
        dartboard.job(text)
    assert found.value.status == 422


def test_lists_of_jobs_take_a_prefix_beside_other_filters(http: httpx.Client, job: JobOut) -> None:
    def listed(**params: str) -> list[str]:
        return [each["id"] for each in http.get("/jobs", params=params).json()["items"]]

    assert listed(id_prefix=begun(job.id)) == [str(job.id)]
    assert listed(id_prefix=begun(job.id), status="queued", kind="search") == [str(job.id)]
    assert listed(id_prefix=begun(job.id), status="failed") == []
    assert http.get("/jobs", params={"id_prefix": "x"}).status_code == 422


def test_ids_that_the_sdk_gives_are_taken_back_in_bodies(dartboard: Dartboard, bench: Bench, job: JobOut) -> None:
    training = bench.claim()
    training.report(1)
    evaluation = dartboard.submit("evaluation", {"search_id": job.id, "epochs": 1, "pool": bench.pool})
    assert evaluation.spec["genotype"] == dartboard.epochs(job.id)[0].genotype


@pytest.mark.parametrize("body", [{"epochs": float("inf")}, {"name": "\udcff"}, {"labels": {"a": object()}}])
def test_a_spec_that_cannot_be_sent_is_a_problem_and_no_other_error(dartboard: Dartboard, body: dict[str, Any]) -> None:
    with pytest.raises(ProblemError):
        dartboard.submit("search", {"dataset": "digits", **body})


def test_texts_are_paths(dartboard: Dartboard, bench: Bench, tmp_path: Path) -> None:
    search = bench.submit(epochs=1)
    training = bench.claim()
    training.report(1)
    evaluation = dartboard.submit("evaluation", {"search_id": search.id, "epochs": 1, "pool": bench.pool})
    training.finish()
    training = bench.claim()
    training.report(1, b"weights")
    training.finish()
    path = dartboard.download_checkpoint(evaluation.id, str(tmp_path))
    assert path.read_bytes() == b"weights"
