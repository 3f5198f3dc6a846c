"""Tracks workers by their last presence report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from api.db.engine import Database
from api.db.models import Attempt, Base, Worker
from api.jobs.index_conditions import RUNNING
from api.jobs.waker import Serving, Waker
from api.schemas.operation import WorkerOut
from api.schemas.worker import Presence

# Built once, since every worker reports every few seconds.
_NEW: Final = insert(Base.metadata.tables[Worker.__tablename__]).values(last_seen=func.now())
_SEEN: Final = _NEW.on_conflict_do_update(
    index_elements=[Worker.name],
    set_={name: _NEW.excluded[name] for name in ("last_seen", *Presence.model_fields) if name != "name"},
)


class WorkerService:
    """Records and lists workers."""

    def __init__(self, database: Database, waker: Waker, presence_seconds: float) -> None:
        self._database, self._waker = database, waker
        self._presence = timedelta(seconds=presence_seconds)
        self._reports: dict[str, tuple[float, Serving]] = {}

    async def note(self, presence: Presence) -> None:
        """Record a worker's presence, and run a wake pass if the worker is new."""
        async with self._database.single_statements() as session:
            await session.execute(_SEEN, presence.model_dump())
        if self._is_new(presence):
            self._waker.nudge()

    def _is_new(self, presence: Presence) -> bool:
        # Hundreds of workers report every few seconds without changing anything for a job. Reports to other API
        # processes are unknown here, at the cost of a superfluous pass.
        now, patience = time.monotonic(), self._presence.total_seconds()
        self._reports = {name: heard for name, heard in self._reports.items() if now - heard[0] < patience}
        before, serving = self._reports.get(presence.name), (tuple(presence.pools), presence.gpus)
        self._reports[presence.name] = (now, serving)
        return before is None or before[1] != serving

    async def holdings(self) -> dict[str, Sequence[str] | None]:
        """The published data sets that each live worker holds; None for a worker that reports none."""
        query = select(Worker.name, Worker.datasets).where(Worker.last_seen > func.now() - self._presence)
        async with self._database.single_statements() as session:
            return {worker.name: worker.datasets for worker in await session.execute(query)}

    async def list(self) -> list[WorkerOut]:
        """All workers ever seen, with their current jobs."""
        query = select(Worker, Attempt.job_id).outerjoin(Attempt, (Attempt.worker == Worker.name) & RUNNING)
        async with self._database.single_statements() as session:
            now = await session.scalar(select(func.now()))
            rows = (await session.execute(query.order_by(Worker.name))).all()
        assert now is not None
        return [
            WorkerOut(
                name=worker.name,
                pools=worker.pools,
                gpus=worker.gpus,
                device=worker.device,
                version=worker.version,
                first_seen=worker.first_seen,
                last_seen=worker.last_seen,
                alive=now - worker.last_seen < self._presence,
                dataset_bytes=worker.dataset_bytes,
                free_bytes=worker.free_bytes,
                load=worker.load,
                job_id=job_id,
            )
            for worker, job_id in rows
        ]
