"""The metrics of a service, and the log lines of its requests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.schemas.jobs import Failure
from api.schemas.worker import Fail, Presence, Release
from tests.support.service import Bench, EndLease, Service

Read = Callable[..., float | None]


@pytest.fixture
def read(http: httpx.Client) -> Read:
    """The value of one series now, None when there is none."""

    def read(name: str, **labels: str) -> float | None:
        answer = http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None

    return read


def test_a_queue_is_shown_by_pool_and_gpus_with_the_age_of_its_oldest_job(bench: Bench, read: Read) -> None:
    slot = {"pool": bench.pool, "gpus": "4"}
    assert read("dartboard_queue_jobs", **slot) is None
    bench.submit(gpus=4, batch_size=64)
    bench.submit(gpus=4, batch_size=64)
    assert read("dartboard_queue_jobs", **slot) == 2
    first = read("dartboard_queue_oldest_seconds", **slot)
    assert first is not None
    assert first < (read("dartboard_queue_oldest_seconds", **slot) or 0) < 60


def test_a_job_that_was_given_back_waits_since_then(bench: Bench, read: Read) -> None:
    began = time.monotonic()
    bench.submit()
    training = bench.claim()
    given_back = time.monotonic()
    training.attempt.release(Release(n=training.number(), reason="shutdown"))
    age = read("dartboard_queue_oldest_seconds", pool=bench.pool, gpus="1")
    assert age is not None
    assert age < time.monotonic() - given_back + 0.1 < time.monotonic() - began + 0.1


def test_a_worker_s_queue_is_shown_when_it_is_empty_too(bench: Bench, read: Read) -> None:
    bench.api.show(Presence(name=f"idle-{bench.pool}", pools=[bench.pool], device="cpu", version="0"))
    slot = {"pool": bench.pool, "gpus": "1"}
    assert [read("dartboard_workers", **slot, state=state) for state in ("idle", "busy")] == [1, 0]
    assert [read("dartboard_queue_jobs", **slot), read("dartboard_queue_oldest_seconds", **slot)] == [0, 0]


def test_a_stored_epoch_is_counted_once_with_its_time_and_its_lag(bench: Bench, read: Read) -> None:
    names = "dartboard_epoch_seconds_count", "dartboard_epoch_seconds_sum", "dartboard_report_lag_seconds_count"
    labels: list[dict[str, str]] = [{"kind": "search"}, {"kind": "search"}, {}]
    before = [read(name, **of) or 0 for name, of in zip(names, labels, strict=True)]
    bench.submit(epochs=1)
    training = bench.claim()
    report = training.report(1)
    training.attempt.report_epoch(report)  # again: nothing new
    after = [read(name, **of) or 0 for name, of in zip(names, labels, strict=True)]
    assert [a - b for a, b in zip(after, before, strict=True)] == [1, 1.5, 1]


def test_a_lease_that_ran_out_is_counted_by_pool(bench: Bench, read: Read, end_lease: EndLease) -> None:
    job = bench.submit()
    end_lease(bench.claim())
    bench.wait_for_status(job, "queued")
    while read("dartboard_lease_expiries_total", pool=bench.pool) is None:
        time.sleep(0.02)  # counted behind the commit
    assert read("dartboard_lease_expiries_total", pool=bench.pool) == 1


def test_requests_are_counted_by_the_route_and_not_by_the_path(bench: Bench, http: httpx.Client, read: Read) -> None:
    job = bench.submit()
    found = {"method": "GET", "route": "/searches/{job_id}", "status": "200"}
    unknown = {"method": "GET", "route": "none", "status": "404"}
    name = "dartboard_http_request_seconds_count"
    before = [read(name, **found) or 0, read(name, **unknown) or 0]
    http.get(f"/searches/{job.id}")
    http.get("/wp-login.php")
    assert [(read(name, **found) or 0) - before[0], (read(name, **unknown) or 0) - before[1]] == [1, 1]


def test_services_it_needs_and_room_it_has_are_shown(read: Read) -> None:
    assert [read("dartboard_database_up"), read("dartboard_broker_up")] == [1, 1]
    assert read("dartboard_database_connections_max") == 20
    assert (read("dartboard_artifacts_free_bytes") or 0) > 0
    assert read("dartboard_rate_limited_total", limit="queue") == 0


def test_a_request_leaves_one_log_line_with_its_id_and_its_subject(
    bench: Bench, http: httpx.Client, service: Service
) -> None:
    bench.submit()
    training = bench.claim()
    training.report(1)
    answer = http.get(f"/searches/{training.claimed.job_id}", headers={"X-Request-ID": f"mine-{bench.pool}"})
    assert answer.headers["x-request-id"] == f"mine-{bench.pool}"
    [line] = _lines(service, "request", f"mine-{bench.pool}")
    about = {"method": "GET", "route": "/searches/{job_id}", "status": 200, "job": str(training.claimed.job_id)}
    assert about.items() <= line.items()
    [reported] = [
        line for line in _lines(service, "attempt", str(training.claimed.attempt_id)) if "/epochs" in line["path"]
    ]
    assert reported["job"] == str(training.claimed.job_id)


def test_an_id_that_could_be_more_than_an_id_is_not_taken_over(http: httpx.Client) -> None:
    given = 'x" forged="1'
    assert http.get("/version", headers={"X-Request-ID": given}).headers["x-request-id"] != given


def _lines(service: Service, field: str, value: str) -> list[dict[str, Any]]:
    """Of the service's log: all are JSON objects. The line of a request follows its answer."""
    while True:
        lines = [json.loads(line) for line in (service.data / "logs" / "api.log").read_text().splitlines()]
        if found := [line for line in lines if line.get(field) == value and line["event"] == "request"]:
            return found
        time.sleep(0.02)


def test_the_days_run_time_is_counted_by_owner_project_and_device(bench: Bench, read: Read) -> None:
    bench.submit(project=f"project-{bench.pool}")
    worker = f"worker of {bench.pool}"
    bench.api.show(Presence(name=worker, pools=[bench.pool], device="NVIDIA H100", version="0"))
    training = bench.claim(worker)
    labels = {"owner": "", "project": f"project-{bench.pool}", "device": "NVIDIA H100"}
    first = read("dartboard_compute_seconds_total", **labels)
    assert first is not None
    training.attempt.fail(Fail(n=training.number(), error=Failure(type="Killed", message="killed"), outcome="lost"))
    last = read("dartboard_compute_seconds_total", **labels)
    assert last is not None
    assert first < last == read("dartboard_lost_seconds_total", **labels)
