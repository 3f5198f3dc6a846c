"""Which workers there are, by what they last said of themselves."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from api.database import Database
from api.jobs.conditions import RUNNING
from api.jobs.waker import Waker
from api.models import Attempt, Worker
from api.schemas.operation import WorkerOut
from api.schemas.worker import Presence


class WorkerService:
    """The roll call."""

    def __init__(self, database: Database, waker: Waker, presence_seconds: float) -> None:
        self._database, self._waker = database, waker
        self._presence = timedelta(seconds=presence_seconds)

    async def note(self, presence: Presence) -> None:
        """Remember that this worker is there."""
        row = {**presence.model_dump(), "last_seen": func.now()}
        changed = {k: v for k, v in row.items() if k != "name"}
        statement = insert(Worker).values(row).on_conflict_do_update(index_elements=[Worker.name], set_=changed)
        async with self._database.transaction() as session:
            await session.execute(statement)
        self._waker.nudge()

    async def list(self) -> list[WorkerOut]:
        """All workers ever seen, and what each one runs now."""
        query = select(Worker, Attempt.job_id).outerjoin(Attempt, (Attempt.worker == Worker.name) & RUNNING)
        async with self._database.transaction() as session:
            now = await session.scalar(select(func.now()))
            rows = (await session.execute(query.order_by(Worker.name))).tuples().all()
        assert now is not None
        return [
            WorkerOut(
                name=worker.name,
                pool=worker.pool,
                gpus=worker.gpus,
                device=worker.device,
                version=worker.version,
                first_seen=worker.first_seen,
                last_seen=worker.last_seen,
                alive=now - worker.last_seen < self._presence,
                job_id=job_id,
            )
            for worker, job_id in rows
        ]
