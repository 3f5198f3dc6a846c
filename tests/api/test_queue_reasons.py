"""The waker wakes workers that fit a queued job; a job that none can take has a `status_reason`."""

from __future__ import annotations

import time
from uuid import UUID, uuid4

import pytest
from redis import Redis

from api.jobs.queue_reasons import BROKER_AWAY, Waiting
from api.schemas.worker import Presence, wakeup_queue
from tests.support.service import Bench, Service


def show(bench: Bench, gpus: int) -> None:
    bench.api.show(Presence(name=f"{gpus}-of-{uuid4()}", pools=[bench.pool], gpus=gpus, device="cpu", version="0"))


def reason_of(bench: Bench, job_id: UUID) -> str | None:
    found: str | None = bench.dartboard.job(job_id).status_reason
    return found


def test_only_workers_that_can_take_the_job_are_woken(bench: Bench, service: Service) -> None:
    show(bench, 1)
    show(bench, 4)
    bench.submit(gpus=4, batch_size=64)
    with Redis.from_url(service.broker_url) as redis:
        # No worker takes the message: it stays.
        while not redis.llen(wakeup_queue([bench.pool], 4)):
            time.sleep(0.02)
        assert redis.llen(wakeup_queue([bench.pool], 1)) == 0


def test_no_more_wake_ups_wait_than_idle_workers_or_queued_jobs(bench: Bench, service: Service) -> None:
    for _ in range(3):
        show(bench, 1)
    jobs = [bench.submit() for _ in range(2)]
    with Redis.from_url(service.broker_url) as redis:
        while redis.llen(wakeup_queue([bench.pool], 1)) < len(jobs):
            time.sleep(0.02)
        bench.submit()
        bench.submit()
        while redis.llen(wakeup_queue([bench.pool], 1)) < 3:
            time.sleep(0.02)
        show(bench, 2)  # one more look at all of them
        assert redis.llen(wakeup_queue([bench.pool], 1)) == 3


def test_a_worker_of_several_pools_is_woken_once_for_jobs_of_any(bench: Bench, service: Service) -> None:
    pools = sorted([bench.pool, f"{bench.pool}-too"])
    bench.api.show(Presence(name=f"both-{uuid4()}", pools=pools, device="cpu", version="0"))
    jobs = [bench.submit(pool=pool) for pool in pools]
    with Redis.from_url(service.broker_url) as redis:
        while not redis.llen(wakeup_queue(pools, 1)):
            time.sleep(0.02)
        show(bench, 2)  # one more look at all of them
        assert redis.llen(wakeup_queue(pools, 1)) == 1
    assert [reason_of(bench, job.id) for job in jobs] == [None, None]


def test_a_job_that_no_living_worker_can_take_has_a_reason_until_one_comes(bench: Bench) -> None:
    job = bench.submit()
    while bench.pool not in (reason_of(bench, job.id) or ""):
        time.sleep(0.02)
    show(bench, 2)
    assert "1 GPU" in (reason_of(bench, job.id) or "")
    show(bench, 1)
    while reason_of(bench, job.id) is not None:
        time.sleep(0.02)


def test_a_reason_of_its_own_is_kept_before_it(bench: Bench) -> None:
    job = bench.submit()
    bench.dartboard.pause(job.id)
    bench.dartboard.resume(job.id)
    said = reason_of(bench, job.id) or ""
    assert said.startswith("resumed by request")
    assert bench.pool in said


@pytest.mark.parametrize(
    ("served", "broker_away", "reason"),
    [
        (None, False, None),
        ({("default", 1)}, False, None),
        ({("default", 1)}, True, BROKER_AWAY),
        (None, True, BROKER_AWAY),
    ],
)
def test_no_unknown_reason_is_given(served: set[tuple[str, int]] | None, broker_away: bool, reason: str | None) -> None:
    waiting = Waiting()
    waiting.served, waiting.broker_away = served, broker_away
    assert waiting.also(None, uuid4(), "default", 1) == reason
