"""Actions on a composite job reach its children."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from api.artifacts.local import LocalArtifacts
from api.budgets.enforce import BudgetKeeper
from api.composite.driver import TreeDriver
from api.db.engine import Database
from api.events.hub import EventHub
from api.jobs.preemption import Preemption
from api.jobs.times import TimeKeeper
from api.jobs.waker import Waker
from api.jobs.wakeups import Wakeups
from api.schemas.jobs import JobOut
from client.errors import ProblemError
from tests.support.archives import pets, tar_of
from tests.support.references import references_of
from tests.support.service import Service
from tests.support.simulated_worker import SimulatedWorker
from worker.api_client import SupersededError


def statuses(worker: SimulatedWorker, tree: JobOut) -> dict[str, str]:
    return {stage: str(child.status) for stage, child in worker.children(tree).items()}


def test_cancel_ends_the_children_and_their_tokens(worker: SimulatedWorker) -> None:
    study = worker.study()
    running = worker.until(worker.begin)
    assert worker.dartboard.cancel(study.id).status == "cancelled"
    assert statuses(worker, study) == {"search/seed-0": "cancelled", "search/seed-1": "cancelled"}
    with pytest.raises(SupersededError, match="cancelled"):
        running.finish()


def test_pause_lets_running_children_end_their_epoch_and_then_stands(worker: SimulatedWorker) -> None:
    study = worker.study()
    running = worker.until(worker.begin)
    assert worker.dartboard.pause(study.id).status == "pausing"
    assert statuses(worker, study) == {"search/seed-0": "pausing", "search/seed-1": "paused"}
    running.finish()
    worker.until(lambda: worker.dartboard.job(study.id).status == "paused")
    assert list(worker.children(study)) == ["search/seed-0", "search/seed-1"], "a paused study begins nothing"


def test_pause_with_nothing_running_is_done_at_once(worker: SimulatedWorker) -> None:
    study = worker.study()
    worker.until(lambda: len(worker.children(study)) == 2)
    assert worker.dartboard.pause(study.id).status == "paused"
    assert worker.begin() is None


def test_a_resumed_study_ends_as_if_it_had_not_been_paused(worker: SimulatedWorker) -> None:
    study = worker.study()
    worker.work()
    worker.dartboard.pause(study.id)
    worker.until(lambda: worker.dartboard.job(study.id).status == "paused")
    assert worker.dartboard.resume(study.id).status == "running"
    ended = worker.work_until_ended(study)
    assert ended.status == "succeeded"
    assert len(worker.children(study)) == 6


def test_a_failed_study_has_a_reason_and_a_retry_repeats_the_failed_children(worker: SimulatedWorker) -> None:
    worker.failing = {"search/seed-0", "search/seed-1"}
    failed = worker.work_until_ended(worker.study())
    assert failed.status == "failed"
    assert failed.error is not None
    assert "2 of 2 candidates failed, and 1 are needed (search/seed-0 failed: Diverged" in failed.error.message
    worker.failing = set()
    assert worker.dartboard.retry(failed.id).status == "running"
    ended = worker.work_until_ended(failed)
    assert (ended.status, ended.error) == ("succeeded", None)


def test_a_retry_behind_the_choice_repeats_only_final_runs(worker: SimulatedWorker) -> None:
    worker.failing = {"search/seed-1", "final/run-0", "final/run-1"}
    failed = worker.work_until_ended(worker.study())
    worker.failing, worker.done = set(), []
    worker.dartboard.retry(failed.id)
    ended = worker.work_until_ended(failed)
    assert ended.status == "succeeded"
    assert worker.done == ["final/run-0", "final/run-1"]


def test_a_cancelled_study_goes_on_where_it_was(worker: SimulatedWorker) -> None:
    study = worker.study()
    worker.work()
    worker.dartboard.cancel(study.id)
    worker.dartboard.retry(study.id)
    assert worker.work_until_ended(study).status == "succeeded"
    assert worker.done.count("search/seed-0") == 1


def test_a_child_that_is_cancelled_counts_as_failed(worker: SimulatedWorker) -> None:
    study = worker.study()
    worker.until(lambda: len(worker.children(study)) == 2)
    worker.dartboard.cancel(worker.children(study)["search/seed-1"].id)
    ended = worker.work_until_ended(study)
    assert ended.result is not None
    assert ended.result["points"][0]["candidates"][1]["failure"] == "search/seed-1 cancelled: cancelled by request"


def test_a_child_of_a_running_study_cannot_be_deleted(worker: SimulatedWorker) -> None:
    worker.study()
    first = worker.work()
    with pytest.raises(ProblemError, match="that it belongs to is running"):
        worker.dartboard.delete(first.job.id)


def test_delete_takes_the_children_and_their_files_along(
    worker: SimulatedWorker, service: Service, http: httpx.Client
) -> None:
    study = worker.study()
    worker.work_until_ended(study)
    children = worker.children(study)
    folders = [folder for c in children.values() for folder in service.data.rglob(f"*{c.id}*")]
    assert folders
    worker.dartboard.delete(study.id)
    assert [http.get(f"/jobs/{c.id}").status_code for c in children.values()] == [404] * 6
    assert not any(folder.exists() for folder in folders)


def test_a_patched_priority_reaches_the_children_that_have_not_ended(
    worker: SimulatedWorker, http: httpx.Client
) -> None:
    study = worker.study()
    worker.work()
    worker.until(lambda: len(worker.children(study)) == 3)
    http.patch(study.links["self"], json={"priority": 9})
    found = {stage: child.priority for stage, child in worker.children(study).items()}
    assert found == {"search/seed-0": 5, "search/seed-1": 9, "short-retrain/seed-0": 9}


async def stepped_by_many(service: Service, study: JobOut, drivers: int) -> None:
    """As many steps of one tree at the same moment, beside those of the API's own driver."""
    database, wakeups = Database(service.database_url), Wakeups("redis://127.0.0.1:1/0")
    preemption = Preemption(database, presence_seconds=60, remaining_seconds=0, again_seconds=0)
    waker = Waker(
        database,
        wakeups,
        preemption,
        BudgetKeeper(database),
        TimeKeeper(database),
        pause_seconds=60,
        presence_seconds=60,
    )
    artifacts = LocalArtifacts(service.data / "artifacts", 2**30)
    driver = TreeDriver(
        database, EventHub(database), waker, artifacts, references_of(database, artifacts, service.data), 60
    )
    try:
        await asyncio.gather(*(driver.step(study.id) for _ in range(drivers)))
    finally:
        await wakeups.close()
        await database.close()


def test_many_drivers_at_once_do_every_step_once(worker: SimulatedWorker, service: Service) -> None:
    study = worker.study()
    for _ in range(6):
        asyncio.run(stepped_by_many(service, study, 8))
        worker.work()
    assert worker.work_until_ended(study).status == "succeeded"
    assert len(worker.children(study)) == 6
    told = [(e.data["stage"], e.data["status"]) for e in worker.dartboard.follow(study) if e.kind == "child"]
    assert len(told) == len(set(told))


def test_a_data_set_that_a_child_to_come_will_use_stays_until_the_study_has_ended(
    worker: SimulatedWorker, http: httpx.Client
) -> None:
    name = f"pets-{worker.pool}"
    made = http.post("/datasets", data={"name": name}, files={"file": ("pets.tar", tar_of(pets()))})
    assert made.status_code == 201
    worker.until(lambda: http.get(f"/datasets/{name}").json()["state"] == "ready")
    # The searches are on the digits; only the final runs will be on the pets.
    study = worker.study(final={"dataset": name, "epochs": 1, "batch_size": 4, "auxiliary": False})
    assert str(study.id) in http.delete(f"/datasets/{name}").json()["detail"]
    worker.dartboard.cancel(study.id)
    assert http.delete(f"/datasets/{name}").status_code == 204


def test_a_job_of_a_study_is_not_extended(worker: SimulatedWorker) -> None:
    study = worker.study()
    done = worker.work()
    with pytest.raises(ProblemError, match="cannot extend a job of a study or a committee") as refused:
        worker.dartboard.extend(done.job.id, 400)
    assert refused.value.status == 409
    worker.dartboard.cancel(study.id)
