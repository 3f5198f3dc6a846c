"""Which workers there are, by what they last said of themselves."""

from __future__ import annotations

import time
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
        self._heard: dict[str, tuple[float, str, int]] = {}

    async def note(self, presence: Presence) -> None:
        """Remember that this worker is there; look for a job for it if it was not before."""
        row = {**presence.model_dump(), "last_seen": func.now()}
        changed = {k: v for k, v in row.items() if k != "name"}
        statement = insert(Worker).values(row).on_conflict_do_update(index_elements=[Worker.name], set_=changed)
        async with self._database.transaction() as session:
            await session.execute(statement)
        if self._is_new(presence):
            self._waker.nudge()

    def _is_new(self, presence: Presence) -> bool:
        # Hundreds of workers say every few seconds that they are still there, which changes nothing for any job. What
        # another API process has heard is not known here: it costs one look too many.
        now, patience = time.monotonic(), self._presence.total_seconds()
        self._heard = {name: heard for name, heard in self._heard.items() if now - heard[0] < patience}
        is_new = self._heard.get(presence.name, (now, "", 0))[1:] != (presence.pool, presence.gpus)
        self._heard[presence.name] = (now, presence.pool, presence.gpus)
        return is_new

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
