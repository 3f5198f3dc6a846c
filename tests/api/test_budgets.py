"""What an owner may use in a month: warned of, held at the end, and gone on with by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from typer.testing import CliRunner

from api.budgets.enforce import BudgetKeeper
from api.db.engine import Database
from api.schemas.budgets import BudgetOut
from api.schemas.jobs import JobOut
from api.schemas.keys import Role
from api.schemas.worker import Directive, Heartbeat, Release
from api.usage.months import add_to_months
from client.cli import app
from client.errors import ProblemError
from client.sdk import Dartboard
from tests.support.databases import plain
from tests.support.receiver import receiving
from tests.support.service import Bench, Service, SimulatedAttempt

PAUSE = Directive(directive="pause", at_once=True)


@dataclass
class Person:
    """An owner of jobs, new for each test."""

    name: str
    sdk: Dartboard
    bench: Bench
    service: Service

    def submit(self, **fields: Any) -> JobOut:
        return self.sdk.submit("search", {"dataset": "digits", "epochs": 3, "pool": self.bench.pool, **fields})

    def give(self, gpu_hours: float) -> BudgetOut:
        """Set the budget, and have it enforced."""
        budget = self.bench.dartboard.set_budget(self.name, gpu_hours)
        self.enforce()
        return budget

    def budget(self) -> BudgetOut:
        [found] = [each for each in self.sdk.budgets() if each.owner == self.name]
        return found

    def enforce(self, times: int = 1) -> None:
        """Run several passes at once, each like one of an API process."""

        async def enforce() -> None:
            database = Database(self.service.database_url)
            try:
                await asyncio.gather(*(BudgetKeeper(database).enforce() for _ in range(times)))
            finally:
                await database.close()

        asyncio.run(enforce())

    def work(self, hours: float) -> SimulatedAttempt:
        """Claim the next job and run it for so long."""
        training = self.bench.claim(worker=f"worker {uuid4()}")
        training.attempt.heartbeat(Heartbeat(seconds=3600 * hours))
        self.enforce()
        return training


@pytest.fixture
def ada(bench: Bench, service: Service) -> Iterator[Person]:
    name = f"ada.{bench.pool}"
    with Dartboard(service.url, bench.dartboard.create_key(Role.USER, name).key) as sdk:
        yield Person(name, sdk, bench, service)


def give_back(training: SimulatedAttempt) -> None:
    training.attempt.release(Release(n=training.number(), reason="pause"))


def test_at_the_end_of_a_budget_a_running_job_saves_its_state_and_goes_on_once_it_is_raised(ada: Person) -> None:
    ada.give(2)
    job = ada.submit()
    training = ada.work(1)
    assert training.attempt.heartbeat(Heartbeat(seconds=3600)).directive == "continue"
    training.report(1)
    training.attempt.heartbeat(Heartbeat(seconds=7300))
    ada.enforce()
    assert training.attempt.heartbeat(Heartbeat(seconds=7300)) == PAUSE
    training.report_partial(1, 7)
    give_back(training)
    held = ada.sdk.job(job.id)
    assert held.status == "queued"
    assert held.status_reason is not None
    assert f"dartboard budgets set {ada.name} HOURS" in held.status_reason
    assert ada.bench.nothing_to_claim()
    ada.give(3)
    again = ada.bench.claim()
    assert (again.claimed.job_id, again.resume.epoch, again.resume.step) == (job.id, 1, 7)


def test_queued_jobs_wait_for_the_budget_and_those_of_others_do_not(ada: Person) -> None:
    ada.give(0)
    mine, theirs = ada.submit(), ada.bench.submit()
    ada.enforce()
    assert "is used up" in (ada.sdk.job(mine.id).status_reason or "")
    assert ada.bench.claim().claimed.job_id == theirs.id
    assert ada.bench.nothing_to_claim()
    ada.bench.dartboard.remove_budget(ada.name)
    ada.enforce()
    assert "is used up" not in (ada.sdk.job(mine.id).status_reason or "")
    assert ada.bench.claim().claimed.job_id == mine.id


def test_a_running_job_that_is_freed_before_it_has_saved_goes_on(ada: Person) -> None:
    ada.submit()
    training = ada.work(2)
    ada.give(1)
    ada.give(9)
    assert training.attempt.heartbeat(Heartbeat(seconds=7300)).directive == "continue"


def test_an_owner_is_warned_once_and_told_of_the_end_once(ada: Person) -> None:
    with receiving() as receiver:
        ada.sdk.add_webhook(receiver.url, events=["budget.warned", "budget.exhausted"])
        ada.give(10)
        ada.submit()
        ada.work(7)
        ada.enforce()
        ada.submit()
        training = ada.work(1.5)
        ada.enforce(times=3)
        warned = receiver.next().json
        assert (warned["type"], warned["data"]["owner"], warned["data"]["gpu_hours"]) == ("budget.warned", ada.name, 10)
        assert warned["data"]["used_gpu_hours"] == pytest.approx(8.5, abs=0.1)
        training.attempt.heartbeat(Heartbeat(seconds=3600 * 4))
        ada.enforce(times=3)
        ended = receiver.next().json
        assert (ended["type"], ada.budget().state) == ("budget.exhausted", "exhausted")
        assert "an admin can raise it" in ended["data"]["reason"]
        ada.give(100)
        ada.give(1)  # another budget, so another message, after which there is no third
        assert receiver.next().json["data"]["gpu_hours"] == 1


def test_a_new_month_has_a_new_budget(ada: Person) -> None:
    job = ada.submit()
    ada.work(2)
    ada.sdk.cancel(job.id)
    ada.give(1)
    waiting = ada.submit()
    ada.enforce()
    assert ada.bench.nothing_to_claim()
    with psycopg.connect(plain(ada.service.database_url)) as connection:
        connection.execute("update owner_months set month = month - interval '1 month' where owner = %s", [ada.name])
    ada.enforce()
    assert ada.bench.claim().claimed.job_id == waiting.id


def test_an_attempt_over_the_end_of_a_month_counts_in_both(ada: Person) -> None:
    attempt = uuid4()
    with psycopg.connect(plain(ada.service.database_url)) as connection:
        connection.execute(
            "insert into usage (attempt_id, job_id, kind, owner, gpus, seconds, lost_seconds, started_at, ended_at) "
            "values (%s, %s, 'search', %s, 2, 7200, 0, '2026-01-31 23:30Z', '2026-02-01 01:30Z')",
            [attempt, uuid4(), ada.name],
        )

    async def add() -> None:
        database = Database(ada.service.database_url)
        try:
            async with database.transaction() as session:
                await add_to_months(session, attempt)
        finally:
            await database.close()

    asyncio.run(add())
    with psycopg.connect(plain(ada.service.database_url)) as connection:
        query = "select month::text, gpu_seconds from owner_months where owner = %s order by month"
        assert connection.execute(query, [ada.name]).fetchall() == [("2026-01-01", 3600), ("2026-02-01", 10800)]


@pytest.mark.parametrize("hours", [-1, "many", None])
def test_a_budget_that_is_no_number_of_hours_is_refused(http: httpx.Client, hours: Any) -> None:
    answer = http.put("/budgets/ada", json={"gpu_hours": hours})
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", "gpu_hours"])


def test_no_budget_can_be_removed_twice(ada: Person) -> None:
    ada.give(1)
    ada.bench.dartboard.remove_budget(ada.name)
    with pytest.raises(ProblemError, match=f"{ada.name} has no budget"):
        ada.bench.dartboard.remove_budget(ada.name)


def test_the_command_sets_lists_and_removes_budgets(ada: Person) -> None:
    def run(*words: str) -> str:
        answer = CliRunner().invoke(app, ["budgets", *words, "--url", ada.service.url])
        assert answer.exit_code == 0, answer.output
        return answer.output

    assert "open" in run("set", ada.name, "40")
    assert f'"owner": "{ada.name}"' in run("--json")
    run("remove", ada.name)
    assert ada.name not in run("list", "--json")
