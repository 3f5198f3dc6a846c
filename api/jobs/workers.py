"""Which workers there are, by what they last said of themselves."""

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

# Made once: every worker says this every few seconds.
_NEW: Final = insert(Base.metadata.tables[Worker.__tablename__]).values(last_seen=func.now())
_SEEN: Final = _NEW.on_conflict_do_update(
    index_elements=[Worker.name],
    set_={name: _NEW.excluded[name] for name in ("last_seen", *Presence.model_fields) if name != "name"},
)


class WorkerService:
    """The roll call."""

    def __init__(self, database: Database, waker: Waker, presence_seconds: float) -> None:
        self._database, self._waker = database, waker
        self._presence = timedelta(seconds=presence_seconds)
        self._heard: dict[str, tuple[float, Serving]] = {}

    async def note(self, presence: Presence) -> None:
        """Remember that this worker is there; look for a job for it if it was not before."""
        async with self._database.single_statements() as session:
            await session.execute(_SEEN, presence.model_dump())
        if self._is_new(presence):
            self._waker.nudge()

    def _is_new(self, presence: Presence) -> bool:
        # Hundreds of workers say every few seconds that they are still there, which changes nothing for any job. What
        # another API process has heard is not known here: it costs one look too many.
        now, patience = time.monotonic(), self._presence.total_seconds()
        self._heard = {name: heard for name, heard in self._heard.items() if now - heard[0] < patience}
        before, serving = self._heard.get(presence.name), (tuple(presence.pools), presence.gpus)
        self._heard[presence.name] = (now, serving)
        return before is None or before[1] != serving

    async def holdings(self) -> dict[str, Sequence[str] | None]:
        """The published data sets that each living worker holds; None for one that has not told."""
        query = select(Worker.name, Worker.datasets).where(Worker.last_seen > func.now() - self._presence)
        async with self._database.single_statements() as session:
            return {worker.name: worker.datasets for worker in await session.execute(query)}

    async def list(self) -> list[WorkerOut]:
        """All workers ever seen, and what each one runs now."""
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
                load=worker.load,
                job_id=job_id,
            )
            for worker, job_id in rows
        ]
