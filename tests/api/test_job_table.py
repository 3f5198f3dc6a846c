"""The list of jobs is searched, sorted and counted over all jobs, not over those of one page."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.support.databases import plain
from tests.support.eventually import eventually
from tests.support.service import Bench, Service

ACCURACIES = [50.0, None, 70.0, 60.0, None, 70.0]


@pytest.fixture
def team(http: httpx.Client, service: Service) -> str:
    """The owner of evaluations with these accuracies, oldest first, of which one is cancelled."""
    owner = uuid4().hex
    sides = ("even", "odd")
    ids = [evaluation(http, name=f"net-{n}", labels={"side": sides[n % 2]}) for n in range(len(ACCURACIES))]
    with psycopg.connect(plain(service.database_url)) as connection:
        for job_id, accuracy in zip(ids, ACCURACIES, strict=True):
            connection.execute("update jobs set owner = %s where id = %s", [owner, job_id])
            if accuracy is not None:
                connection.execute(
                    "update jobs set metrics = jsonb_build_object('test_accuracy', %s::float8) where id = %s",
                    [accuracy, job_id],
                )
    http.post(f"/evaluations/{ids[3]}/cancel")
    return owner


def evaluation(http: httpx.Client, **fields: Any) -> str:
    answer = http.post("/evaluations", json={"dataset": "digits", "genotype": "DARTS_V2", "epochs": 1, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def pages(http: httpx.Client, path: str = "/jobs", **params: Any) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        answer = http.get(path, params={"limit": 2, **params, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        if (cursor := page["next_cursor"]) is None:
            assert page["total"] == len(found)
            assert page["total_exact"] is True
            return found


def names(jobs: list[dict[str, Any]]) -> list[int]:
    return [int(job["name"].removeprefix("net-")) for job in jobs]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("-created_at", [5, 4, 3, 2, 1, 0]),
        ("created_at", [0, 1, 2, 3, 4, 5]),
        ("-test_accuracy", [5, 2, 3, 0, 4, 1]),
        ("test_accuracy", [0, 3, 2, 5, 4, 1]),
        ("-evaluation.test_accuracy", [5, 2, 3, 0, 4, 1]),
        ("-search.test_accuracy", [5, 4, 3, 2, 1, 0]),
        ("name", [0, 1, 2, 3, 4, 5]),
        ("-name", [5, 4, 3, 2, 1, 0]),
    ],
)
@pytest.mark.parametrize("path", ["/jobs", "/evaluations"])
def test_pages_have_all_jobs_in_order_those_without_the_value_last(
    http: httpx.Client, team: str, sort: str, expected: list[int], path: str
) -> None:
    assert names(pages(http, path, owner=team, sort=sort)) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": "cancelled"}, [3]),
        ({"status": "queued"}, [5, 2, 0, 4, 1]),
        ({"kind": "search"}, []),
        ({"q": "NET-4"}, [4]),
        ({"q": "digits evaluation"}, [5, 2, 3, 0, 4, 1]),
        ({"q": "digits nothing-of-the-kind"}, []),
        ({"q": "net_4"}, []),  # no wildcard
        ({"q": "100%"}, []),
        ({"parent": "none"}, [5, 2, 3, 0, 4, 1]),
        ({"label": "side=even"}, [2, 0, 4]),
        ({"label": "side", "q": "net-4"}, [4]),
    ],
)
def test_filters_hold_in_every_order(
    http: httpx.Client, team: str, filters: dict[str, str], expected: list[int]
) -> None:
    assert names(pages(http, owner=team, sort="-test_accuracy", **filters)) == expected
    for sort in ("created_at", "-created_at", "name", "-name", "parameters", "-search.test_accuracy"):
        assert sorted(names(pages(http, owner=team, sort=sort, **filters))) == sorted(expected), sort


def test_counts_are_of_all_pages_and_statuses(http: httpx.Client, team: str) -> None:
    for filters in ({}, {"q": "digits"}):
        page = http.get("/jobs", params={"owner": team, "status": "queued", "limit": 1, **filters}).json()
        assert page["counts"] == {"queued": 5, "cancelled": 1}
        assert (len(page["items"]), page["total"], page["total_exact"]) == (1, 5, True)


def test_without_a_filter_jobs_are_sorted_among_all(http: httpx.Client, team: str) -> None:
    for filters in ({}, {"kind": "evaluation"}, {"parent": "none"}):
        items = http.get("/jobs", params={"sort": "-test_accuracy", "limit": 200, **filters}).json()["items"]
        found = [job["metrics"]["test_accuracy"] for job in items if (job["metrics"] or {}).get("test_accuracy")]
        assert found == sorted(found, reverse=True)
        assert len(found) >= sum(accuracy is not None for accuracy in ACCURACIES)
        assert not any((job["metrics"] or {}).get("test_accuracy") for job in items[len(found) :])


def test_a_page_of_jobs_that_are_reported_meanwhile_has_none_twice(
    http: httpx.Client, team: str, service: Service
) -> None:
    first = http.get("/jobs", params={"owner": team, "sort": "-test_accuracy", "limit": 2}).json()
    with psycopg.connect(plain(service.database_url)) as connection:  # the last job of the page gets worse
        connection.execute(
            """update jobs set metrics = '{"test_accuracy": 1}' where id = %s""", [first["items"][1]["id"]]
        )
    following = {"owner": team, "sort": "-test_accuracy", "cursor": first["next_cursor"], "limit": 200}
    assert names(http.get("/jobs", params=following).json()["items"])[:2] == [3, 0]


def test_the_search_knows_a_jobs_present_name_and_labels(http: httpx.Client) -> None:
    word, other = uuid4().hex, uuid4().hex
    job_id = evaluation(http, name=word, labels={"team": "blue"})
    assert [job["id"] for job in pages(http, q=word[:9].upper())] == [job_id]
    http.patch(f"/evaluations/{job_id}", json={"name": "another", "labels": {"team": other}})
    assert pages(http, q=word) == []
    assert [job["id"] for job in pages(http, q=f"team={other}")] == [job_id]
    assert [job["id"] for job in pages(http, q=job_id[-12:])] == [job_id]


def test_costs_are_those_of_the_network_and_sort_jobs(http: httpx.Client) -> None:
    pool = f"test-{uuid4().hex[:12]}"
    small, large = (evaluation(http, pool=pool, labels={"costs": pool}, channels=channels) for channels in (4, 8))

    def costed() -> list[dict[str, Any]] | None:
        found = pages(http, label=f"costs={pool}", sort="-parameters")
        return found if all(job["parameters"] for job in found) else None

    first, second = eventually(costed)
    assert [first["id"], second["id"]] == [large, small]
    compared = http.get("/compare", params={"ids": f"{small},{large}"}).json()["jobs"]
    assert [(each["parameters"], each["multiply_adds"]) for each in compared] == [
        (job["parameters"], job["multiply_adds"]) for job in (second, first)
    ]


def test_a_search_has_the_costs_of_its_latest_cell(bench: Bench, http: httpx.Client) -> None:
    job = bench.submit()
    assert job.parameters is None
    bench.claim().report(1)
    found = eventually(lambda: http.get(f"/jobs/{job.id}").json()["parameters"])
    assert found == http.get(f"/searches/{job.id}/genotype").json()["parameters"]


def test_an_epochs_value_counts_until_a_better_epoch(bench: Bench, http: httpx.Client) -> None:
    jobs = [bench.submit(labels={"pool": bench.pool}) for _ in range(2)]
    for accuracies in ((80.0, 20.0), (50.0, 60.0)):
        attempt = bench.claim()
        for epoch, accuracy in enumerate(accuracies, 1):
            attempt.report(epoch, validation_accuracy=accuracy, oddity=accuracy)
    for sort, expected in (("-validation_accuracy", jobs), ("-oddity", jobs), ("validation_accuracy", jobs[::-1])):
        found = pages(http, sort=sort, label=f"pool={bench.pool}")
        assert [job["id"] for job in found] == [str(job.id) for job in expected]


@pytest.mark.parametrize(
    ("params", "field", "says"),
    [
        ({"sort": "-nothing_such"}, "sort", "no job has 'nothing_such': sort by created_at, name, parameters"),
        ({"sort": "-"}, "sort", "is no order"),
        ({"sort": "name; drop"}, "sort", "is no order"),
        ({"sort": "banana.test_accuracy"}, "sort", "'banana' is not a kind of job"),
        ({"sort": "name", "cursor": "x"}, "cursor", "is not from a page of this order"),
        ({"sort": "name", "cursor": "bnVsbA"}, "cursor", "is not from a page of this order"),
        ({"cursor": "x"}, "cursor", "is not from a page of this order"),
        ({"parent": "some"}, "parent", "none"),
    ],
)
def test_a_wrong_order_is_refused_by_name(http: httpx.Client, params: dict[str, str], field: str, says: str) -> None:
    answer = http.get("/jobs", params=params)
    assert answer.status_code == 422
    found = answer.json()["errors"]
    assert any(field in error["loc"] and says in error["msg"] for error in found), found


def test_a_cursor_of_another_order_is_refused(http: httpx.Client, team: str) -> None:
    cursor = http.get("/jobs", params={"owner": team, "sort": "name", "limit": 1}).json()["next_cursor"]
    assert http.get("/jobs", params={"sort": "-test_accuracy", "cursor": cursor}).status_code == 422
    assert http.get("/jobs", params={"sort": "name", "cursor": cursor, "owner": team}).status_code == 200
