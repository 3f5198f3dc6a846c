"""Renders `/metrics`: the process's counters and gauges read from the database at each scrape."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Text, cast, exists, extract, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.artifacts import Artifacts
from api.db.engine import Database
from api.db.models import Attempt, Job, Worker
from api.events.hub import EventHub
from api.jobs.index_conditions import QUEUED, RUNNING
from api.jobs.queue_reasons import Slot
from api.jobs.waker import Waker
from api.metrics.counters import REGISTRY
from api.schemas.jobs import JobKind, Status
from api.schemas.usage import UsageKey
from api.usage.report import usage
from darts_core.runtime.logs import lost_lines
from darts_core.runtime.version import VERSION

_log = structlog.get_logger(__name__)
_SLOT = ("pool", "gpus")
_USAGE: Final[list[UsageKey]] = ["owner", "project", "device"]


class Scraper:
    """Collects gauges with queries that read indexes, never a whole table of jobs."""

    def __init__(
        self, database: Database, hub: EventHub, waker: Waker, artifacts: Artifacts, presence_seconds: float
    ) -> None:
        self._database, self._hub, self._waker, self._artifacts = database, hub, waker, artifacts
        self._presence = timedelta(seconds=presence_seconds)

    async def scrape(self) -> bytes:
        """All metrics in Prometheus' text format; without a database, those that do not need it."""
        families = list(self._of_process())
        reachable = _gauge("dartboard_database_up", "Whether the database is reachable.")
        try:
            async with self._database.transaction() as session:
                families += [await _jobs(session), *await self._slots(session), *await _usage(session)]
            reachable.add_metric([], 1)
        except Exception as error:  # the driver raises many types, and the other metrics matter most during a failure
            _log.warning("metrics_without_database", error=f"{type(error).__name__}: {error}"[:300])
            reachable.add_metric([], 0)
        now = CollectorRegistry()
        now.register(_Collected([*families, reachable]))
        return generate_latest(REGISTRY) + generate_latest(now)

    def _of_process(self) -> Iterator[Metric]:
        pool = self._database.pool()
        connections = _gauge(
            "dartboard_database_connections", "Database connections of this process, by state.", "state"
        )
        connections.add_metric(["in_use"], pool.in_use)
        connections.add_metric(["idle"], pool.idle)
        yield connections
        yield _value(
            "dartboard_database_connections_max", "Maximum number of database connections of this process.", pool.most
        )
        yield _value("dartboard_event_subscribers", "Open event streams of this process.", self._hub.subscribers)
        broker = 0 if self._waker.waiting.broker_away else 1
        yield _value("dartboard_broker_up", "Whether the last message to the broker was delivered.", broker)
        lost = "Log lines that could not be written, as on a full disk."
        yield CounterMetricFamily("dartboard_log_lines_lost", lost, value=lost_lines())
        if (free := self._artifacts.free_bytes()) is not None:
            yield _value("dartboard_artifacts_free_bytes", "Free space on the artifact store's disk.", free)
        about = _gauge("dartboard_build_info", "Always 1.", "version")
        about.add_metric([VERSION], 1)
        yield about

    async def _slots(self, session: AsyncSession) -> list[Metric]:
        """Gauges of queues and workers by pool and GPUs; a queue with workers is exported even if it is empty."""
        workers = _gauge("dartboard_workers", "Live workers, by state.", *_SLOT, "state")
        busy = exists().where(Attempt.worker == Worker.name, RUNNING)
        counts = func.count(), func.count().filter(busy)
        alive = select(Worker.pools, Worker.gpus, *counts).where(Worker.last_seen > func.now() - self._presence)
        served: set[Slot] = set()
        for pools, gpus, there, working in await session.execute(alive.group_by(Worker.pools, Worker.gpus)):
            served |= {(pool, gpus) for pool in pools}
            # A worker that serves several pools counts once.
            workers.add_metric([",".join(pools), str(gpus), "busy"], working)
            workers.add_metric([",".join(pools), str(gpus), "idle"], there - working)
        return [workers, *await _queues(session, served)]


async def _jobs(session: AsyncSession) -> Metric:
    jobs = _gauge("dartboard_jobs", "Stored jobs.", "kind", "status")
    rows = await session.execute(select(Job.kind, Job.status, func.count()).group_by(Job.kind, Job.status))
    counted = {(kind, status): count for kind, status, count in rows}
    for kind, status in product(JobKind.all(), Status):
        jobs.add_metric([kind, status], counted.get((kind, status), 0))
    return jobs


async def _usage(session: AsyncSession) -> list[Metric]:
    """Counters that begin anew each day, which Prometheus' `increase` allows for: so few rows are read."""
    now = await session.scalar(select(func.now())) or datetime.now(UTC)
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = await usage(session, _USAGE, midnight, now)
    computed, lost = (
        CounterMetricFamily(name, f"{what} since midnight in UTC.", labels=_USAGE)
        for name, what in (
            ("dartboard_compute_seconds", "Run time of attempts, times their GPUs,"),
            ("dartboard_lost_seconds", "The part of it that lost attempts had not stored,"),
        )
    )
    for row in found.rows:
        labels = [str(getattr(row, key) or "") for key in _USAGE]
        computed.add_metric(labels, row.compute_seconds)
        lost.add_metric(labels, row.lost_seconds)
    return [computed, lost]


async def _queues(session: AsyncSession, served: Collection[Slot]) -> list[Metric]:
    # Postgres has no min(uuid), but the smallest text of UUIDv7 ids is the oldest one's.
    oldest = func.min(cast(Job.id, Text))
    query = select(Job.pool, Job.gpus, func.count(), oldest).where(QUEUED).group_by(Job.pool, Job.gpus)
    found: dict[Slot, tuple[int, UUID]] = {
        (pool, gpus): (count, UUID(first)) for pool, gpus, count, first in await session.execute(query)
    }
    # A job that was released or lost has waited since its last attempt ended.
    tried = select(func.max(Attempt.ended_at)).where(Attempt.job_id == Job.id).scalar_subquery()
    waited = extract("epoch", func.greatest(func.now() - func.greatest(Job.created_at, tried), timedelta()))
    first = select(Job.id, waited).where(Job.id.in_([job_id for _, job_id in found.values()]))
    seconds = {job_id: float(age) for job_id, age in await session.execute(first)}
    queued = _gauge("dartboard_queue_jobs", "Queued jobs.", *_SLOT)
    ages = _gauge("dartboard_queue_oldest_seconds", "Waiting time of the oldest queued job.", *_SLOT)
    for pool, gpus in sorted({*found, *served}):
        count, job_id = found.get((pool, gpus), (0, None))
        queued.add_metric([pool, str(gpus)], count)
        ages.add_metric([pool, str(gpus)], seconds.get(job_id, 0.0) if job_id else 0.0)
    return [queued, ages]


class _Collected(Collector):
    """Exports metrics collected before, since a Collector cannot await a database."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _gauge(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=labels)


def _value(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)
