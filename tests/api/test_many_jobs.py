"""Frequent requests read a bounded number of rows among thousands of jobs.

Rows are counted by the database, never seconds: https://www.postgresql.org/docs/current/sql-explain.html
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.artifacts.local import LocalArtifacts
from api.auth.principal import Principal, acting
from api.budgets.enforce import BudgetKeeper
from api.composite.driver import TreeDriver
from api.db.engine import Database
from api.db.models import Job
from api.events.hub import EventHub
from api.http.problems import ProblemError
from api.jobs import listing
from api.jobs.attempt_files import AttemptFiles
from api.jobs.attempts import AttemptService
from api.jobs.claims import ClaimService
from api.jobs.fencing import Fence
from api.jobs.heartbeats import HeartbeatService
from api.jobs.listing import Filters
from api.jobs.max_runtime import RuntimeLimits
from api.jobs.preemption import Preemption
from api.jobs.queries import Reader
from api.jobs.queue_order import queue_of
from api.jobs.queue_reasons import Waiting
from api.jobs.service import JobService
from api.jobs.sort_order import Cursor, SortOrder
from api.jobs.sweeper import Sweeper
from api.jobs.times import TimeKeeper
from api.jobs.waker import Waker
from api.jobs.wakeups import Wakeups
from api.jobs.workers import WorkerService
from api.kinds import Resolved
from api.kinds.search import SEARCH
from api.metrics.scrape import Scraper
from api.retention.clearable import Clearable, clearable
from api.schemas.jobs import JobFrame, JobKind, Progress, Status
from api.schemas.keys import KeyLimits, Role
from api.schemas.retention import RetentionOut
from api.schemas.worker import Claim, EpochReport, Finish, Heartbeat, Presence
from benchmarks.fleet.filling import COMMON, RARE, fill
from darts_core.configs import SearchConfig
from darts_core.genotypes import KNOWN, to_json
from tests.support.databases import database_at, plain
from tests.support.query_plans import Plan, explained
from tests.support.references import references_of
from tests.support.service import Service

JOBS, WORKERS, PAGE, PRIORITIES = 4000, 8, 5, 10
# A page of each kind and status, and their number twice: to choose from, and as rows.
PAGES = len(JobKind.all()) * len(Status) + 2
# These do not grow with the jobs.
_SMALL = {"workers", "webhooks", "shares", "budgets", "owner_months", "model_versions", "schedules"}
_FRAME = JobFrame(max_runtime=1000)
_SPEC = SearchConfig(dataset="digits", epochs=1).resolved()


@dataclass
class Crowd:
    """A database of thousands of jobs, half of them queued, with eight workers of which four are busy."""

    url: str
    folder: Path

    @property
    def middle(self) -> UUID:
        """A job that as many are older than as newer."""
        with psycopg.connect(plain(self.url)) as connection:
            [found] = (
                connection.execute("select id from jobs order by id offset %s limit 1", [JOBS // 2]).fetchone() or []
            )
        return UUID(str(found))

    def plans(self, work: Callable[[Services], Awaitable[object]]) -> list[Plan]:
        """What the database did for this piece of work."""
        return asyncio.run(self._run(work))

    def cost(self, work: Callable[[Services], Awaitable[object]]) -> int:
        """Rows that the piece of work read, in tables that grow with the jobs by indexes alone."""
        plans = self.plans(work)
        assert plans
        whole = {table for plan in plans for table in plan.whole_tables}
        assert not whole - _SMALL, [plan.statement for plan in plans if plan.whole_tables]
        return max(plan.rows for plan in plans)

    async def _run(self, work: Callable[[Services], Awaitable[object]]) -> list[Plan]:
        database = Database(self.url)
        wakeups = Wakeups("redis://127.0.0.1:1/0")  # no broker is there, so no worker is woken
        try:
            artifacts = LocalArtifacts(self.folder, 1 << 20)
            artifacts.prepare()
            services = Services(database, wakeups, artifacts)
            with explained(database.engine) as plans:
                await work(services)
            return plans
        finally:
            await wakeups.close()
            await database.close()


class Services:
    """The parts of the service, in this process."""

    def __init__(self, database: Database, wakeups: Wakeups, artifacts: LocalArtifacts) -> None:
        self.database = database
        self.preemption = Preemption(database, presence_seconds=3600, remaining_seconds=0, again_seconds=0)
        self.budgets, self.times = BudgetKeeper(database), TimeKeeper(database)
        self.waker = Waker(
            database, wakeups, self.preemption, self.budgets, self.times, pause_seconds=1, presence_seconds=3600
        )
        self.hub, self.artifacts = EventHub(database), artifacts
        self.reader = Reader(database)
        named = references_of(database, artifacts, artifacts.root)
        trees = TreeDriver(database, self.hub, self.waker, artifacts, named, sweep_seconds=1)
        self.jobs = JobService(database, self.waker, artifacts, trees)
        self.claims = ClaimService(database, artifacts, self.waker, 3600)
        self.sweeper = Sweeper(database, self.waker, lease_seconds=3600, sweep_seconds=1)
        self.runtime = RuntimeLimits(database)
        self.workers = WorkerService(database, self.waker, 3600)
        fence = Fence(database, 3600)
        self.heartbeats = HeartbeatService(database, fence, self.hub, 0)
        self.files = AttemptFiles(database, artifacts, fence)
        self.attempts = AttemptService(artifacts, self.files, self.waker, fence)

    async def submit(self, idempotency_key: str | None = None) -> Job:
        submitted = await self.jobs.queue(SEARCH, _FRAME, Resolved(_SPEC), idempotency_key=idempotency_key)
        return submitted.job

    async def see_through(self, number: int) -> None:
        """All that a worker says, from its claim of a job to the end of that."""
        await self.show(number)
        claimed = await self.claim(number)
        attempt = claimed.attempt_id, claimed.token
        progress = Progress(epoch=1, epochs=1, step=1, steps=2, eta_seconds=None)
        await self.heartbeats.beat(*attempt, Heartbeat(progress=progress))
        stored = await self.files.store_file(*attempt, "epoch-1.pt", _content(), None)
        report = EpochReport(
            n=1,
            epoch=1,
            metrics={"validation_accuracy": 50.0},
            seconds=1.0,
            genotype=to_json(KNOWN["DARTS_V2"]),
            alphas={"normal": [[0.5]], "reduce": [[0.5]]},
            checkpoint=stored.name,
            sha256=stored.sha256,
        )
        await self.attempts.report_epoch(*attempt, report)
        await self.attempts.finish(*attempt, Finish(n=2))

    async def show(self, number: int) -> None:
        await self.workers.note(Presence(name=f"worker-{number}", device="cpu", version="0"))

    async def claim(self, number: int) -> Any:
        return await self.claims.claim(Claim(worker=f"worker-{number}", threads=1))


async def _content() -> AsyncIterator[bytes]:
    yield b"weights"


@pytest.fixture(scope="module")
def crowd(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    crowd = Crowd(database_at(service, f"crowd_{os.getpid()}", "head"), tmp_path_factory.mktemp("crowd"))

    async def begin(services: Services) -> None:
        with acting(Principal(Role.USER, owner="ada")):
            template = await services.submit()
        await asyncio.to_thread(fill, crowd.url, [template.id], queued=JOBS // 2, ended=JOBS // 2)
        for number in range(WORKERS):
            await services.show(number)
        for number in range(WORKERS // 2):
            assert await services.claim(number)
        async with services.database.engine.connect() as connection:
            raw = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await raw.exec_driver_sql("vacuum analyze")

    crowd.plans(begin)
    return crowd


def test_a_claim_reads_the_first_job_of_each_priority_and_the_running_ones(crowd: Crowd) -> None:
    assert crowd.cost(lambda s: s.claim(WORKERS - 1)) <= PRIORITIES + 2 * WORKERS + 2


def test_a_claim_of_several_pools_reads_the_first_jobs_of_each(crowd: Crowd) -> None:
    claim = Claim(worker="of-many", pools=["default", "big", "small"], threads=1)
    assert crowd.cost(lambda s: s.claims.claim(claim)) <= 100


def test_a_workers_report_reads_no_other_job(crowd: Crowd) -> None:
    assert crowd.cost(lambda s: s.see_through(WORKERS - 2)) <= PRIORITIES + 2 * WORKERS + 2


def test_a_claim_that_finds_nothing_reads_no_queued_job(crowd: Crowd) -> None:
    assert crowd.cost(lambda s: s.claims.claim(Claim(worker="big", gpus=8, threads=1))) <= 2 * WORKERS


@pytest.mark.parametrize("page", ["first", "deep"])
@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(kind=JobKind.SEARCH),
        Filters(kind=JobKind.EVALUATION),
        Filters(status=Status.QUEUED),
        Filters(status=Status.SUCCEEDED),
        Filters(status=Status.CANCELLED),
        Filters(JobKind.SEARCH, Status.SUCCEEDED),
        Filters(JobKind.SCORE, Status.SUCCEEDED),
        Filters(label=COMMON),
        Filters(label=RARE),
        Filters(label="fleet=none"),
        Filters(label="fleet"),
        Filters(label="nothing"),
        Filters(parent=UUID(int=1)),
        Filters(JobKind.SEARCH, Status.FAILED, COMMON),
        Filters(JobKind.SEARCH, Status.QUEUED, COMMON),
    ],
    ids=str,
)
def test_a_page_of_a_list_reads_about_its_own_rows(crowd: Crowd, filters: Filters, page: str) -> None:
    cursor = Cursor(crowd.middle) if page == "deep" else None
    assert crowd.cost(lambda s: s.jobs.list(filters, limit=PAGE, cursor=cursor)) <= PAGES * PAGE


@pytest.mark.parametrize(
    "sort", ["created_at", "-validation_accuracy", "validation_accuracy", "-test_accuracy", "name"]
)
@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(JobKind.SEARCH),
        Filters(JobKind.SEARCH, Status.SUCCEEDED),
        Filters(status=Status.FAILED),
        Filters(roots=True),
    ],
    ids=str,
)
def test_a_sorted_page_reads_about_its_own_rows(crowd: Crowd, filters: Filters, sort: str) -> None:
    order = SortOrder.read(sort)
    assert crowd.cost(lambda s: s.jobs.list(filters, order, limit=PAGE)) <= 2 * PAGES * PAGE


@pytest.mark.parametrize("owner", ["ada", "no such owner"])
def test_a_page_of_an_owners_jobs_reads_about_its_own_rows(crowd: Crowd, owner: str) -> None:
    filters = Filters(owner=owner)
    assert crowd.cost(lambda s: s.jobs.list(filters, limit=PAGE)) <= PAGES * PAGE


def test_a_search_for_a_rare_word_reads_the_jobs_that_have_it(crowd: Crowd) -> None:
    # Four thousand texts are read faster one by one than by an index of their letters; of 100,000 the planner uses it.
    scans = "".join(f"-c enable_{scan}=off " for scan in ("seqscan", "indexscan", "indexonlyscan"))
    larger = replace(crowd, url=f"{crowd.url}?options={quote(scans)}")
    for rare in (str(crowd.middle)[-12:], "no-such-word"):
        filters = Filters(q=rare)
        assert larger.cost(lambda s, f=filters: s.jobs.list(f, limit=PAGE)) <= 2 * PAGE  # type: ignore[misc]


@pytest.mark.parametrize(
    "filters",
    [Filters(), Filters(JobKind.SEARCH), Filters(label=COMMON), Filters(q="digits"), Filters(owner="ada")],
    ids=str,
)
def test_jobs_are_counted_to_a_limit(crowd: Crowd, filters: Filters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_COUNTED", 100)
    assert crowd.cost(lambda s: s.jobs.counts(filters)) <= len(Status) * 101


def test_a_pass_of_the_sweeper_reads_no_more_than_the_running_attempts(crowd: Crowd) -> None:
    assert crowd.cost(lambda s: s.sweeper.sweep()) <= WORKERS


def test_a_pass_over_run_times_reads_no_more_than_the_running_jobs_and_their_attempts(crowd: Crowd) -> None:
    assert crowd.cost(lambda s: s.runtime.enforce()) <= 3 * WORKERS


def test_the_waker_counts_no_more_queued_jobs_than_there_are_idle_workers(crowd: Crowd) -> None:
    assert crowd.cost(lambda s: s.waker.wake()) <= 4 * WORKERS


def test_a_presence_report_causes_no_search_for_jobs(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    async def show_again_and_again(services: Services) -> None:
        monkeypatch.setattr(services.waker, "nudge", lambda: looks.append("look"))
        for gpus in (1, 1, 2, 2):
            await services.workers.note(Presence(name="worker-0", gpus=gpus, device="cpu", version="1"))
        await services.workers.note(Presence(name="worker-0", gpus=1, device="cpu", version="1"))

    crowd.plans(show_again_and_again)
    assert looks == ["look"] * 3  # when it came, and each time that it had other GPUs


def test_the_queue_reads_no_more_than_the_first_jobs_of_each_priority(crowd: Crowd) -> None:
    async def look(services: Services) -> None:
        async with services.database.transaction() as session:
            found = await queue_of(session, "default", 1, PAGE)
        assert len(found.queued) == PAGE

    assert crowd.cost(look) <= PRIORITIES * (PAGE + 1) + 2 * WORKERS


def test_the_list_of_workers_reads_no_more_than_they_are(crowd: Crowd) -> None:
    assert crowd.cost(lambda s: s.workers.list()) <= 2 * WORKERS


def test_a_key_with_a_limit_counts_no_further_than_that(crowd: Crowd) -> None:
    async def submit(services: Services) -> None:
        limited = Principal(Role.USER, owner="ada", limits=KeyLimits(queued_jobs=5))
        with acting(limited), pytest.raises(ProblemError, match="5 queued jobs or more"):
            await services.submit()

    assert crowd.cost(submit) <= 5


def test_a_submitted_job_costs_as_much_as_the_first_one(crowd: Crowd) -> None:
    assert crowd.cost(lambda s: s.submit(idempotency_key=str(uuid4()))) <= 1


def test_the_checkpoints_of_one_job_that_rules_clear_are_found_by_indexes(crowd: Crowd) -> None:
    with psycopg.connect(plain(crowd.url)) as connection:
        query = "select id from jobs where status = 'succeeded' order by id limit 1"
        [job_id] = connection.execute(query).fetchone() or [None]
    found: list[Clearable] = []

    async def look(services: Services) -> None:
        rules = [RetentionOut(own=False, days=0, last=0, best=False)]
        async with services.database.transaction() as session:
            for _ in range(10):  # so often that the statement is prepared
                found.extend(await clearable(session, rules, job_id))

    assert crowd.cost(look) <= 5
    assert [each.job_id for each in found] == [job_id] * 10


def test_rows_that_refer_to_a_deleted_job_are_found_by_an_index(crowd: Crowd) -> None:
    unindexed = """
        select conrelid::regclass::text, conname from pg_constraint where confrelid = 'jobs'::regclass
        and not exists (select from pg_index where indrelid = conrelid and indkey[0] = conkey[1])
    """
    with psycopg.connect(plain(crowd.url)) as connection:
        assert connection.execute(unindexed).fetchall() == []


def test_replaying_a_jobs_events_reads_them_alone(crowd: Crowd) -> None:
    assert crowd.cost(lambda s: s.hub.log.read(crowd.middle, 0)) <= 5


def test_a_scrape_counts_jobs_and_workers_and_reads_no_job_but_the_oldest(crowd: Crowd) -> None:
    texts: list[bytes] = []

    async def scrape(services: Services) -> None:
        scraper = Scraper(services.database, services.hub, services.waker, services.artifacts, 3600)
        texts.append(await scraper.scrape())

    assert not {table for plan in crowd.plans(scrape) for table in plan.whole_tables} - _SMALL
    families = text_string_to_metric_families(texts[0].decode())
    found = {family.name: {tuple(s.labels.values()): s.value for s in family.samples} for family in families}
    assert sum(found["dartboard_jobs"].values()) >= JOBS
    states = {state: value for (*_, state), value in found["dartboard_workers"].items()}
    assert sum(states.values()) == WORKERS
    assert states["busy"] >= WORKERS // 2  # other tests claim jobs, too


def test_a_pass_over_urgent_jobs_reads_no_more_of_them_than_there_are_workers(crowd: Crowd) -> None:
    with psycopg.connect(plain(crowd.url)) as connection:
        connection.execute("update jobs set priority = 9 where status = 'queued'")
    waiting = Waiting()
    assert crowd.cost(lambda s: s.preemption.make_room(waiting)) <= 5 * WORKERS
    assert len(waiting.urgent) == WORKERS


def test_a_claim_reads_one_job_of_each_owner_and_project(crowd: Crowd) -> None:
    with psycopg.connect(plain(crowd.url)) as connection:
        connection.execute("update jobs set owner = 'owner ' || mod(hashtext(id::text), 10), project = '' || priority")
        [[groups]] = connection.execute(
            "select count(distinct (priority, owner, project)) from jobs where status = 'queued' and gpus = 1"
        )
    assert crowd.cost(lambda s: s.claim(WORKERS - 3)) <= PRIORITIES + groups + 2 * WORKERS + 2


def test_a_pass_over_times_reads_no_job_without_them(crowd: Crowd) -> None:
    assert crowd.cost(lambda s: s.times.enforce()) <= 2


def test_a_pass_over_budgets_reads_no_job_that_is_held_already(crowd: Crowd) -> None:
    with psycopg.connect(plain(crowd.url)) as connection:
        connection.execute("update jobs set owner = 'ada'")
        connection.execute("insert into budgets (owner, gpu_hours) values ('ada', 0)")
    crowd.plans(lambda s: s.budgets.enforce())
    with psycopg.connect(plain(crowd.url), autocommit=True) as connection:
        [[held]] = connection.execute("select count(*) from jobs where hold = 'budget'")
        assert held > JOBS // 3
        connection.execute("vacuum analyze jobs")
    assert crowd.cost(lambda s: s.budgets.enforce()) <= 6 * WORKERS
    assert crowd.cost(lambda s: s.claim(WORKERS - 4)) <= 2 * WORKERS
