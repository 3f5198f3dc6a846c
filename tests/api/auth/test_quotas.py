"""Limits on the use of a key."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.auth.principal import Principal
from api.auth.quotas import Bucket, Meters, with_defaults
from api.http.problems import ProblemError
from api.schemas.keys import KeyLimits, Role
from tests.support.archives import pets, tar_of
from tests.support.checkpoint_files import ours
from tests.support.keys import Person, submitted


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_capacity_at_once_and_its_rate_over_time() -> None:
    clock = Clock()
    bucket = Bucket(capacity=3, rate=2, clock=clock)
    assert [bucket.take(1) for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now += 0.5
    assert [bucket.take(1), bucket.take(1)] == [0, 0.5]
    clock.now += 1000
    assert [bucket.take(3), bucket.take(1)] == [0, 0.5]


def test_a_refused_file_uses_up_nothing() -> None:
    meters = Meters(Clock())
    key = Principal(Role.USER, "ada", uuid4(), KeyLimits(upload_bytes_per_day=100))
    meters.upload(key, 60)
    with pytest.raises(ProblemError) as refused:
        meters.upload(key, 60)
    assert refused.value.status == 429
    meters.upload(key, 40)


def test_one_keys_haste_does_not_slow_another() -> None:
    meters = Meters(Clock())
    hasty, calm = (Principal(Role.USER, "ada", uuid4(), KeyLimits(requests_per_second=0.1)) for _ in range(2))
    meters.request(hasty)
    with pytest.raises(ProblemError):
        meters.request(hasty)
    meters.request(calm)


def test_a_keys_own_limits_come_before_the_services() -> None:
    service = KeyLimits(queued_jobs=10, requests_per_second=5, upload_bytes_per_day=7)
    assert with_defaults(KeyLimits(queued_jobs=0), service) == service.model_copy(update={"queued_jobs": 0})


def test_too_many_requests_are_429_and_say_when_to_come_again(person: Person) -> None:
    http = person("viewer", requests_per_second=0.2)
    assert http.get("/jobs").status_code == 200
    refused = http.get("/jobs")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 5
    assert refused.headers["Content-Type"] == "application/problem+json"


def test_more_queued_jobs_than_the_key_allows_are_429(person: Person) -> None:
    http = person("user", queued_jobs=2)
    first = submitted(http)
    submitted(http)
    refused = http.post("/searches", json={"dataset": "digits", "pool": "unserved"})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    http.post(f"/searches/{first.id}/cancel")
    submitted(http)


def test_a_retry_counts_as_a_queued_job(person: Person) -> None:
    http = person("user", queued_jobs=1)
    job = submitted(http)
    http.post(f"/searches/{job.id}/cancel")
    submitted(http)
    assert http.post(f"/searches/{job.id}/retry").status_code == 429


def test_a_repeated_request_is_answered_past_the_limit(person: Person) -> None:
    http = person("user", queued_jobs=1)
    body, headers = {"dataset": "digits", "pool": "unserved"}, {"Idempotency-Key": uuid4().hex}
    first, again = (http.post("/searches", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)


def test_requests_at_the_same_moment_do_not_pass_the_limit_together(person: Person) -> None:
    http = person("user", queued_jobs=3)

    def submit(_: int) -> int:
        return http.post("/searches", json={"dataset": "digits", "pool": "unserved"}).status_code

    with ThreadPoolExecutor(8) as threads:
        answers = sorted(threads.map(submit, range(8)))
    assert answers == [201] * 3 + [429] * 5


def test_another_owners_queue_does_not_count(person: Person) -> None:
    submitted(person("user", queued_jobs=1))
    submitted(person("user", queued_jobs=1))


def test_uploads_past_the_days_bytes_are_429_and_leave_nothing(person: Person) -> None:
    content = ours()
    http = person("user", upload_bytes_per_day=len(content) + 2000)
    assert http.post("/checkpoints", files={"file": ("my.pt", content)}).status_code == 201
    refused = http.post("/checkpoints", files={"file": ("my.pt", ours())})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 60


def test_an_upload_without_a_length_is_counted_as_it_comes(person: Person) -> None:
    http = person("user", upload_bytes_per_day=300_000)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="my.pt"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}

    def send(blocks: int) -> int:
        body = [head, *[b"x" * 50_000] * blocks, b"\r\n--b--\r\n"]
        return http.post("/checkpoints", content=iter(body), headers=headers).status_code

    # No checkpoint, but read to its end; then too much for what is left of the day.
    assert [send(4), send(4)] == [422, 429]


def test_a_file_larger_than_any_days_bytes_is_413(person: Person) -> None:
    http = person("user", upload_bytes_per_day=1000)
    answer = http.post("/checkpoints", files={"file": ("my.pt", b"x" * 5000)})
    assert answer.status_code == 413


def checked_set(http: httpx.Client, archive: bytes) -> dict[str, Any]:
    """A data set's fate, or the problem that its upload met."""
    answer = http.post("/datasets", data={"name": f"set-{uuid4().hex[:8]}"}, files={"file": ("a.tar", archive)})
    if answer.status_code != 201:
        return {"status": answer.status_code, **answer.json()}
    deadline = time.monotonic() + 20
    while (found := http.get(answer.headers["Location"]).json())["state"] == "checking" and time.monotonic() < deadline:
        time.sleep(0.05)
    return dict(found)


def test_data_sets_are_kept_up_to_the_owners_bytes_as_they_are_stored(person: Person) -> None:
    size = checked_set(person("user"), tar_of(pets(100)))["bytes"]
    http = person("user", dataset_bytes=2 * size - 1)
    first = checked_set(http, tar_of(pets(100)))
    assert first["state"] == "ready"
    assert checked_set(http, tar_of(pets(100)))["state"] == "ready"  # the same content, kept once
    second = checked_set(http, tar_of(pets(200)))
    assert (second["state"], second["bytes"]) == ("failed", None)
    assert f"may keep {2 * size - 1:,} bytes of packed data sets in all: remove one" in second["error"]
    assert checked_set(person("user"), tar_of(pets(200)))["state"] == "ready"


def test_an_owner_without_room_is_refused_before_the_upload_is_read(person: Person) -> None:
    refused = checked_set(person("user", dataset_bytes=0), tar_of(pets(300)))
    assert refused["status"] == 413
    assert "may keep 0 bytes" in refused["detail"]


def test_workers_are_not_slowed(person: Person) -> None:
    http = person("worker", requests_per_second=0.1)
    body = {"worker": "w", "pool": "unserved-else", "threads": 1}
    assert [http.post("/worker/claim", json=body).status_code for _ in range(5)] == [204] * 5


def test_a_key_gives_no_higher_priority_than_its_own(person: Person) -> None:
    http = person("user", priority=8)
    job = submitted(http, priority=8)
    refused = http.post("/searches", json={"dataset": "digits", "pool": "unserved", "priority": 9})
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "priority 9: this key may give at most 8; an admin can give more",
    )
    assert http.patch(f"/searches/{job.id}", json={"priority": 9}).status_code == 403
    assert http.patch(f"/searches/{job.id}", json={"priority": 0}).json()["priority"] == 0


def test_an_admin_gives_any_priority(person: Person, admin: httpx.Client) -> None:
    job = submitted(person("user", priority=8))
    assert admin.patch(f"/searches/{job.id}", json={"priority": 9}).json()["priority"] == 9
    assert submitted(person("admin", priority=0), priority=9).priority == 9
