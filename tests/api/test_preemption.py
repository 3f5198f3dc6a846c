"""An urgent job takes the slot of a less urgent one, which saves its state and returns to the queue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.db.engine import Database
from api.jobs.preemption import Preemption
from api.jobs.queue_reasons import Waiting
from api.schemas.jobs import JobOut, Progress
from api.schemas.worker import Claim, Directive, Heartbeat, Presence, Release
from client.events import PreemptedEvent
from tests.support.service import Bench, EndLease, Service, SimulatedAttempt
from tests.support.simulated_worker import SimulatedWorker


@dataclass
class Fleet:
    """Workers of one pool, each with one GPU unless it is told otherwise."""

    bench: Bench
    service: Service

    def show(self, name: str, pools: list[str] | None = None, gpus: int = 1) -> None:
        presence = Presence(
            name=self.full(name), pools=pools or [self.bench.pool], gpus=gpus, device="cpu", version="0"
        )
        self.bench.api.show(presence)

    def claim(self, name: str, pools: list[str] | None = None, gpus: int = 1) -> SimulatedAttempt:
        """The worker's next job."""
        claim = Claim(worker=self.full(name), pools=pools or [self.bench.pool], gpus=gpus, threads=2)
        claimed = self.bench.api.claim(claim)
        assert claimed is not None
        return SimulatedAttempt(self.bench.api, claimed, self.bench.folder)

    def busy(self, name: str, pools: list[str] | None = None, gpus: int = 1, **fields: Any) -> SimulatedAttempt:
        """A worker with a job of its own, which takes long unless it is told otherwise."""
        job = self.bench.submit(**{"epochs": 1000, "gpus": gpus, "batch_size": 64, **fields})
        training = self.claim(name, pools, gpus)
        assert training.claimed.job_id == job.id
        self.show(name, pools, gpus)
        return training

    def job(self, training: SimulatedAttempt) -> JobOut:
        return self.bench.dartboard.job(training.claimed.job_id)

    def passes(self, times: int = 1, **settings: float) -> dict[Any, str | None]:
        """Several passes at once, each like one of an API process; the reasons of the urgent jobs."""
        return asyncio.run(self._passes(times, {"remaining_seconds": 120, "again_seconds": 600, **settings}))

    async def _passes(self, times: int, settings: dict[str, float]) -> dict[Any, str | None]:
        database, waiting = Database(self.service.database_url), Waiting()
        try:
            preemption = Preemption(database, presence_seconds=15, **settings)
            await asyncio.gather(*(preemption.make_room(waiting) for _ in range(times)))
        finally:
            await database.close()
        return dict(waiting.urgent)

    def full(self, name: str) -> str:
        return f"{self.bench.pool}/{name}"


@pytest.fixture
def fleet(bench: Bench, service: Service) -> Iterator[Fleet]:
    yield Fleet(bench, service)
    for job in bench.dartboard.jobs():
        if not job.status.ended and job.pool.startswith(bench.pool):
            bench.dartboard.cancel(job.id)


def told(training: SimulatedAttempt, wanted: Callable[[Directive], bool] = lambda d: d.at_once) -> Directive:
    """The directive of a held heartbeat."""
    while not wanted(directive := training.attempt.heartbeat(Heartbeat(hold=5))):
        pass
    return directive


def give_back(training: SimulatedAttempt) -> None:
    training.attempt.release(Release(n=training.number(), reason="pause"))


def test_on_a_full_fleet_an_urgent_job_gets_the_slot_of_a_running_one_that_goes_on_later(fleet: Fleet) -> None:
    training = fleet.busy("a")
    training.report(1)
    urgent = fleet.bench.submit(priority=9)
    assert told(training) == Directive(directive="pause", at_once=True)
    assert fleet.job(training).preempted_by == urgent.id
    training.report_partial(1, 7)
    give_back(training)
    queued = fleet.job(training)
    assert (queued.status, queued.preempted_by, queued.preemptions) == ("queued", None, 1)
    assert queued.status_reason == f"made room for the urgent job {urgent.id}; resumes where it stopped"
    first, second = fleet.claim("a"), fleet.claim("b")
    assert [first.claimed.job_id, second.claimed.job_id] == [urgent.id, training.claimed.job_id]
    assert (second.resume.epoch, second.resume.step) == (1, 7)


def test_the_preempted_job_has_an_event_that_names_the_urgent_one(fleet: Fleet, http: httpx.Client) -> None:
    training = fleet.busy("a")
    urgent = fleet.bench.submit(priority=9)
    event = next(e for e in fleet.bench.dartboard.follow(training.claimed.job_id) if isinstance(e, PreemptedEvent))
    assert event.by == urgent.id
    assert event.reason == f"saves its state and makes room for the urgent job {urgent.id}"
    give_back(training)
    [attempt] = http.get(f"/searches/{training.claimed.job_id}/attempts").json()["items"]
    assert (attempt["status"], attempt["end_reason"]) == ("released", "preempted")


def test_a_preempted_job_keeps_its_place_among_equals(fleet: Fleet) -> None:
    training = fleet.busy("a")
    younger = fleet.bench.submit()
    fleet.bench.submit(priority=9)
    told(training)
    give_back(training)
    fleet.claim("a")
    assert [fleet.claim(name).claimed.job_id for name in "bc"] == [training.claimed.job_id, younger.id]


def test_the_youngest_of_the_jobs_with_the_lowest_priority_makes_room(fleet: Fleet) -> None:
    trainings = [fleet.busy(name, priority=priority) for name, priority in (("a", 5), ("b", 3), ("c", 3), ("d", 4))]
    fleet.bench.submit(priority=9)
    told(trainings[2])
    assert [fleet.job(training).preempted_by is not None for training in trainings] == [False, False, True, False]


def test_a_free_worker_is_left_to_claim_the_job(fleet: Fleet) -> None:
    training = fleet.busy("a")
    fleet.show("idle")
    urgent = fleet.bench.submit(priority=9)
    assert fleet.passes()[urgent.id] is None
    assert fleet.job(training).preempted_by is None


@pytest.mark.parametrize(("running", "waiting"), [(9, 9), (0, 8)])
def test_only_priority_9_is_urgent_and_takes_no_slot_from_its_equals(fleet: Fleet, running: int, waiting: int) -> None:
    training = fleet.busy("a", priority=running)
    fleet.bench.submit(priority=waiting)
    fleet.passes()
    assert fleet.job(training).preempted_by is None


def test_a_job_that_is_not_preemptible_keeps_its_slot_until_that_is_changed(fleet: Fleet, http: httpx.Client) -> None:
    training = fleet.busy("a", preemptible=False)
    urgent = fleet.bench.submit(priority=9)
    reason = fleet.passes()[urgent.id] or ""
    assert reason.startswith("urgent, but no running job makes room")
    while fleet.bench.dartboard.job(urgent.id).status_reason != reason:
        time.sleep(0.02)
    assert fleet.job(training).preempted_by is None
    assert http.patch(f"/searches/{training.claimed.job_id}", json={"preemptible": True}).json()["preemptible"]
    told(training)


def test_a_job_near_its_end_by_its_workers_estimate_keeps_its_slot(fleet: Fleet) -> None:
    training = fleet.busy("a")
    progress = Progress(epoch=1, epochs=3, step=5, steps=10, eta_seconds=100.0)
    training.attempt.heartbeat(Heartbeat(progress=progress))
    fleet.bench.submit(priority=9)
    fleet.passes()
    assert fleet.job(training).preempted_by is None
    training.attempt.heartbeat(Heartbeat(progress=progress.model_copy(update={"eta_seconds": 200.0})))
    told(training)


def test_a_job_near_its_end_by_its_last_epoch_keeps_its_slot(fleet: Fleet) -> None:
    training = fleet.busy("a", epochs=3)
    training.report(1)  # 1.5 s
    progress = Progress(epoch=2, epochs=3, step=0, steps=0, stage="loading data")
    training.attempt.heartbeat(Heartbeat(progress=progress))
    urgent = fleet.bench.submit(priority=9)
    assert fleet.passes(remaining_seconds=3.0)[urgent.id]
    assert fleet.job(training).preempted_by is None
    fleet.passes(remaining_seconds=2.9)
    assert fleet.job(training).preempted_by == urgent.id


def test_a_preempted_job_is_not_preempted_again_before_it_has_run_for_a_while(fleet: Fleet) -> None:
    training = fleet.busy("a")
    first = fleet.bench.submit(priority=9)
    told(training)
    give_back(training)
    fleet.claim("a").attempt.release(Release(n=1, reason="shutdown"))
    fleet.bench.dartboard.cancel(first.id)
    again = fleet.claim("a")
    assert again.claimed.job_id == training.claimed.job_id
    fleet.bench.submit(priority=9)
    again.attempt.heartbeat(Heartbeat(seconds=590))
    fleet.passes()
    assert fleet.job(training).preempted_by is None
    again.attempt.heartbeat(Heartbeat(seconds=601))
    told(again)
    assert fleet.job(training).preemptions == 2


def test_a_job_that_is_no_training_keeps_its_slot(fleet: Fleet, http: httpx.Client) -> None:
    search = fleet.bench.submit(epochs=1)
    training = fleet.claim("a")
    training.report(1)
    training.finish()
    score = http.post("/scores", json={"search_id": str(search.id), "dataset": "digits", "pool": fleet.bench.pool})
    assert score.status_code == 201, score.text
    scoring = fleet.claim("a")
    fleet.show("a")
    fleet.bench.submit(priority=9)
    fleet.passes()
    assert fleet.job(scoring).preempted_by is None


def test_only_a_slot_that_the_job_can_take_is_freed(fleet: Fleet) -> None:
    pool = fleet.bench.pool
    others = [fleet.busy("elsewhere", [f"{pool}-b"], pool=f"{pool}-b"), fleet.busy("pair", gpus=2, priority=0)]
    both = fleet.busy("both", sorted([pool, f"{pool}-b"]), pool=f"{pool}-b", priority=8)
    urgent = fleet.bench.submit(priority=9)
    told(both)
    assert [fleet.job(training).preempted_by for training in (both, *others)] == [urgent.id, None, None]


def test_a_job_for_several_gpus_gets_the_slot_of_a_worker_with_as_many(fleet: Fleet) -> None:
    single, pair = fleet.busy("single", priority=0), fleet.busy("pair", gpus=2)
    urgent = fleet.bench.submit(priority=9, gpus=2, batch_size=64)
    told(pair)
    assert [fleet.job(training).preempted_by for training in (single, pair)] == [None, urgent.id]


def test_a_silent_workers_job_is_not_asked(fleet: Fleet) -> None:
    silent = fleet.bench.submit(priority=0)
    fleet.claim("silent")  # it never shows itself
    training = fleet.busy("a")
    fleet.bench.submit(priority=9)
    told(training)
    assert fleet.bench.dartboard.job(silent.id).preempted_by is None


def test_many_processes_free_one_slot_for_one_job(fleet: Fleet) -> None:
    trainings = [fleet.busy(name) for name in "abc"]
    first = fleet.bench.submit(priority=9)
    fleet.passes(8)
    assert [fleet.job(training).preempted_by for training in trainings] == [None, None, first.id]
    second = fleet.bench.submit(priority=9)
    fleet.passes(8)
    assert [fleet.job(training).preempted_by for training in trainings] == [None, second.id, first.id]


def test_a_waiting_urgent_job_says_that_a_slot_is_being_freed(fleet: Fleet) -> None:
    training = fleet.busy("a")
    urgent = fleet.bench.submit(priority=9)
    told(training)
    expected = f"job {training.claimed.job_id} saves its state and makes room"
    while fleet.bench.dartboard.job(urgent.id).status_reason != expected:
        time.sleep(0.02)
    give_back(training)
    fleet.claim("a")
    assert expected not in (fleet.bench.dartboard.job(urgent.id).status_reason or "")


def test_a_job_that_becomes_urgent_takes_a_slot(fleet: Fleet, http: httpx.Client) -> None:
    training = fleet.busy("a")
    waiting = fleet.bench.submit()
    http.patch(f"/searches/{waiting.id}", json={"priority": 9})
    told(training)
    assert fleet.job(training).preempted_by == waiting.id


def test_a_job_whose_urgent_one_is_cancelled_meanwhile_goes_on_in_the_same_slot(fleet: Fleet) -> None:
    training = fleet.busy("a")
    urgent = fleet.bench.submit(priority=9)
    told(training)
    fleet.bench.dartboard.cancel(urgent.id)
    give_back(training)
    assert fleet.claim("a").claimed.job_id == training.claimed.job_id


def test_the_slot_of_a_cancelled_urgent_job_serves_the_next_one(fleet: Fleet) -> None:
    trainings = [fleet.busy(name) for name in "ab"]
    first = fleet.bench.submit(priority=9)
    told(trainings[1])
    fleet.bench.dartboard.cancel(first.id)
    second = fleet.bench.submit(priority=9)
    fleet.passes()
    assert fleet.job(trainings[0]).preempted_by is None
    give_back(trainings[1])
    assert fleet.claim("b").claimed.job_id == second.id


def test_a_job_that_ends_before_it_stops_has_succeeded(fleet: Fleet) -> None:
    training = fleet.busy("a", epochs=1)
    urgent = fleet.bench.submit(priority=9)
    told(training)
    training.report(1)
    training.finish()
    ended = fleet.job(training)
    assert (ended.status, ended.preempted_by) == ("succeeded", None)
    assert fleet.claim("a").claimed.job_id == urgent.id


def test_a_job_that_is_paused_while_it_makes_room_stays_paused(fleet: Fleet) -> None:
    training = fleet.busy("a")
    fleet.bench.submit(priority=9)
    told(training)
    fleet.bench.dartboard.pause(training.claimed.job_id)
    assert told(training).at_once
    give_back(training)
    paused = fleet.job(training)
    assert (paused.status, paused.status_reason, paused.preempted_by) == ("paused", "paused by request", None)


def test_a_worker_that_dies_while_it_saves_costs_an_attempt(fleet: Fleet, end_lease: EndLease) -> None:
    training = fleet.busy("a")
    training.report(1)
    urgent = fleet.bench.submit(priority=9)
    told(training)
    end_lease(training)
    queued = fleet.bench.wait_for_status(fleet.job(training), "queued")
    assert (queued.preempted_by, "was lost" in (queued.status_reason or "")) == (None, True)
    assert fleet.claim("a").claimed.job_id == urgent.id
    assert fleet.claim("b").resume.epoch == 1


def test_a_study_hands_its_children_whether_they_may_be_preempted(
    fleet: Fleet, http: httpx.Client, bench: Bench
) -> None:
    worker = SimulatedWorker(bench.dartboard, bench.api, bench.folder, bench.pool)
    study = worker.study(preemptible=False)
    worker.until(lambda: len(worker.children(study)) == 2)
    assert {child.preemptible for child in worker.children(study).values()} == {False}
    http.patch(study.links["self"], json={"preemptible": True})
    assert {child.preemptible for child in worker.children(study).values()} == {True}
    worker.leave()


def test_preemptions_are_counted_by_pool(fleet: Fleet, http: httpx.Client) -> None:
    training = fleet.busy("a")
    fleet.bench.submit(priority=9)
    told(training)

    def count() -> float | None:
        for family in text_string_to_metric_families(http.get("/metrics").text):
            for sample in family.samples:
                if sample.name == "dartboard_preemptions_total" and sample.labels == {"pool": fleet.bench.pool}:
                    return sample.value
        return None

    while count() is None:
        time.sleep(0.02)  # counted behind the commit
    assert count() == 1


@pytest.mark.parametrize("patch", [{"preemptible": None}, {"preemptible": "never"}])
def test_a_preemptible_that_is_neither_true_nor_false_is_refused(
    bench: Bench, http: httpx.Client, patch: dict[str, Any]
) -> None:
    job = bench.submit()
    assert http.patch(f"/searches/{job.id}", json=patch).status_code == 422
