"""Many jobs in one stream."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from httpx_sse import ServerSentEvent, connect_sse

from api.events.multiplex import PLACES_IN_AN_ID
from tests.support.service import Bench

Told = tuple[str, dict[str, Any], str]


@pytest.fixture
def stream(http: httpx.Client) -> Callable[..., Iterator[Told]]:
    """Kind, data and id of each event of a stream."""

    def _stream(query: str, **headers: str) -> Iterator[Told]:
        with (
            httpx.Client(base_url=http.base_url, timeout=20) as client,
            connect_sse(client, "GET", f"/events?{query}", headers=headers) as source,
        ):
            event: ServerSentEvent
            for event in source.iter_sse():
                if event.data:
                    yield event.event, event.json(), event.id

    return _stream


def test_named_jobs_come_each_once_and_in_order_and_the_stream_closes_behind_the_last_end(
    bench: Bench, stream: Callable[..., Iterator[Told]]
) -> None:
    jobs = [bench.submit(epochs=2), bench.submit(epochs=2)]
    for _ in jobs:
        training = bench.claim()
        for epoch in (1, 2):
            training.report(epoch)
        training.finish()
    told = list(stream("&".join(f"job={job.id}" for job in jobs)))
    for job in jobs:
        mine = [(kind, data) for kind, data, _ in told if data["job_id"] == str(job.id)]
        assert [data["sequence"] for kind, data in mine if kind != "end"] == list(range(1, 8))
        assert mine[-1][0] == "end"
        assert mine[-1][1]["data"] == {"status": "succeeded"}


def test_a_stream_begins_behind_the_sequence_that_stands_beside_the_id(
    bench: Bench, stream: Callable[..., Iterator[Told]]
) -> None:
    job = bench.submit()
    bench.dartboard.cancel(job.id)
    told = list(stream(f"job={job.id}@1"))
    assert [(kind, data["sequence"]) for kind, data, _ in told] == [("status", 2), ("end", 2)]


def test_any_event_s_id_resumes_all_jobs_without_a_gap_or_a_double(
    bench: Bench, stream: Callable[..., Iterator[Told]]
) -> None:
    jobs = [bench.submit(epochs=3), bench.submit(epochs=3)]
    trainings = [bench.claim(), bench.claim()]
    for epoch in (1, 2, 3):
        for training in trainings:
            training.report(epoch)
    for training in trainings:
        training.finish()
    whole = list(stream("&".join(f"job={job.id}" for job in jobs)))
    for cut in (0, 4, 9, len(whole) - 2):
        rest = list(stream("job=" + str(jobs[0].id), **{"Last-Event-ID": whole[cut][2]}))
        assert rest == whole[cut + 1 :]


def test_a_job_that_is_queued_later_joins_the_stream_of_active_ones(
    bench: Bench, stream: Callable[..., Iterator[Told]]
) -> None:
    told = stream("active=true")
    assert next(told)[0] == "ready"
    job = bench.submit()
    mine = (each for each in told if each[1]["job_id"] == str(job.id))
    assert next(mine)[1]["data"]["status"] == "queued"
    training = bench.claim()
    assert next(mine)[1]["data"]["status"] == "running"
    training.report(1)
    assert [next(mine)[0], next(mine)[0]] == ["epoch", "checkpoint"]
    bench.dartboard.cancel(job.id)
    assert [next(mine)[1]["data"]["status"], next(mine)[0]] == ["cancelled", "end"]
    bench.dartboard.retry(job.id)
    assert next(mine)[1]["data"]["status"] == "queued"


def test_a_stream_of_active_jobs_follows_more_jobs_than_its_ids_name(
    bench: Bench, stream: Callable[..., Iterator[Told]]
) -> None:
    jobs = [bench.submit() for _ in range(PLACES_IN_AN_ID + 1)]
    told = stream("active=true")
    assert next(told)[0] == "ready"
    jobs.append(bench.submit())
    for job in jobs:
        bench.dartboard.cancel(job.id)
    mine: dict[str, list[tuple[str, str]]] = {str(job.id): [] for job in jobs}
    while mine[str(jobs[-1].id)][-1:] != [("end", "cancelled")]:
        kind, data, _ = next(told)
        mine.setdefault(data["job_id"], []).append((kind, data["data"].get("status")))
    ended = [("status", "cancelled"), ("end", "cancelled")]
    assert [mine[str(job.id)] for job in jobs] == [ended] * (PLACES_IN_AN_ID + 1) + [[("status", "queued"), *ended]]


def test_events_missed_by_a_reader_of_active_jobs_come_first(
    bench: Bench, stream: Callable[..., Iterator[Told]]
) -> None:
    earlier = bench.submit()
    told = stream("active=true")
    place = next(told)[2]
    told.close()  # type: ignore[attr-defined]
    bench.dartboard.cancel(earlier.id)
    later = bench.submit()
    mine: list[tuple[str, str]] = []
    for kind, data, _ in stream("active=true", **{"Last-Event-ID": place}):
        if kind == "ready":
            break
        if data["job_id"] in (str(earlier.id), str(later.id)):
            mine.append((data["job_id"], data["data"]["status"]))
    assert mine == [(str(earlier.id), "cancelled")] * 2 + [(str(later.id), "queued")]


def test_a_deleted_job_ends(bench: Bench, stream: Callable[..., Iterator[Told]]) -> None:
    job, other = bench.submit(), bench.submit()
    told = stream(f"job={job.id}&job={other.id}")
    next(told), next(told)
    bench.dartboard.cancel(job.id)
    assert [next(told)[0], next(told)[0]] == ["status", "end"]
    cancelling = threading.Thread(target=bench.dartboard.cancel, args=[other.id])
    cancelling.start()
    assert [kind for kind, _, _ in told] == ["status", "end"]
    cancelling.join()


@pytest.mark.parametrize(
    "query", ["", "active=false", "job=x", "job=" + "z" * 36, "active=true&job=" + "0" * 32, "active=true&after=!!"]
)
def test_a_stream_of_nothing_in_particular_is_refused_by_the_name_of_the_parameter(
    http: httpx.Client, query: str
) -> None:
    answer = http.get(f"/events?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"][0] == "query"
