"""Checks uploaded sets one at a time, each in a child process."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.artifacts import Artifacts, StoreFullError
from api.artifacts.store import INCOMING
from api.background_tasks import Passed
from api.datasets.archive_limits import Limits
from api.datasets.check_child import run_check
from api.datasets.quota import over_quota
from api.datasets.storage import UPLOADS, folder_below, packed_key
from api.db.engine import Database, lock_content
from api.db.models import Dataset
from api.http.problems import ProblemError, is_unreachable
from api.schemas.datasets import DatasetState
from darts_core.printable import printable

_PAUSE_SECONDS: Final = 5.0
# No request can still create a row for an upload this old.
_ABANDONED_SECONDS: Final = 24 * 3600.0
_STORE_PAUSE_SECONDS: Final = 30.0
_log = structlog.get_logger(__name__)


class DatasetChecker:
    """Checks every set whose row is `checking`, until the row is ready or failed.

    The row stays locked during its check: no two API processes check one set, and a crash releases it. A set whose
    check cannot complete fails; one that waits for the artifact store is postponed behind the others.
    """

    def __init__(
        self, database: Database, artifacts: Artifacts, data_root: Path, limits: Limits, within_seconds: float
    ) -> None:
        self._database, self._artifacts, self._data_root = database, artifacts, data_root
        self._limits, self._within = limits, within_seconds
        self._nudged = asyncio.Event()
        self._postponed: dict[UUID, float] = {}

    def nudge(self) -> None:
        """Wake the checker: a set is waiting."""
        self._nudged.set()

    async def run(self, passed: Passed) -> None:
        await self._remove_abandoned()
        while True:
            while await self._check_next():
                passed()
            passed()
            try:
                await asyncio.wait_for(self._nudged.wait(), _PAUSE_SECONDS)
            except TimeoutError:
                continue
            finally:
                self._nudged.clear()

    async def _remove_abandoned(self) -> None:
        """Remove uploads and incoming files without a row that are too old for a request in progress."""
        named = select(Dataset.request["upload"].astext).where(Dataset.state == DatasetState.CHECKING)
        async with self._database.single_statements() as session:
            waiting = set(await session.scalars(named))
        for folder in (INCOMING, UPLOADS):
            await self._artifacts.remove_older(folder, time.time() - _ABANDONED_SECONDS, keep=waiting)

    async def _check_next(self) -> bool:
        """Check the oldest set that is not postponed; False if there is none."""
        now = time.monotonic()
        self._postponed = {dataset_id: until for dataset_id, until in self._postponed.items() if until > now}
        waiting = select(Dataset).where(
            Dataset.state == DatasetState.CHECKING, Dataset.id.not_in(list(self._postponed))
        )
        taken: tuple[UUID, str | None] | None = None
        try:
            async with self._database.transaction() as session:
                oldest = waiting.order_by(Dataset.id).limit(1).with_for_update(skip_locked=True)
                dataset = await session.scalar(oldest)
                if dataset is None:
                    return False
                taken = dataset.id, dataset.request.get("upload")
                await self._check_locked(session, dataset)
        except Exception as error:
            if taken is None or is_unreachable(error):
                raise
            if not await self._handle_error(taken[0], error):
                return True
        await self._discard_upload(taken[1])
        return True

    async def _check_locked(self, session: AsyncSession, dataset: Dataset) -> None:
        """Check a locked set and store the outcome."""
        with self._artifacts.workspace() as work:
            found = await self._check(dataset.request, work)
            if "checksum" in found and (error := await over_quota(session, dataset, found["checksum"], found["size"])):
                found = {"error": error, "report": found.get("report")}
            if "checksum" in found:
                await lock_content(session, found["checksum"])
                await self._artifacts.adopt(work / "packed", packed_key(found["checksum"]))
        dataset.report = found.get("report")
        dataset.error = found.get("error")
        dataset.kind = found.get("kind", dataset.kind)
        dataset.state = DatasetState.FAILED if dataset.error else DatasetState.READY
        dataset.checksum, dataset.size, dataset.info = (found.get(k) for k in ("checksum", "size", "info"))
        dataset.checked_at = func.clock_timestamp()  # now() is the transaction's start
        await session.flush()

    async def _handle_error(self, dataset_id: UUID, error: Exception) -> bool:
        """Postpone (False) or fail (True) a set whose check raised, so that it does not block the others."""
        if isinstance(error, ProblemError) and error.status == 503:
            self._postponed[dataset_id] = time.monotonic() + _STORE_PAUSE_SECONDS
            _log.warning("dataset_postponed", dataset=str(dataset_id), error=str(error)[:300])
            return False
        _log.error("dataset_check_failed", dataset=str(dataset_id), exc_info=error)
        async with self._database.transaction() as session:
            this = select(Dataset).where(Dataset.id == dataset_id, Dataset.state == DatasetState.CHECKING)
            dataset = await session.scalar(this.with_for_update())
            if dataset is None:
                return False
            dataset.state, dataset.error = DatasetState.FAILED, _cause_of(error)
            dataset.checked_at = func.clock_timestamp()
        return True

    async def _discard_upload(self, upload: str | None) -> None:
        if upload:
            await self._artifacts.discard([upload])

    async def _check(self, request: dict[str, Any], work: Path) -> dict[str, Any]:
        if upload := request.get("upload"):
            try:
                async with self._artifacts.local(upload) as source:
                    return await self._run(source, work, request)
            except ProblemError as error:
                if error.status != 404:
                    raise
                return {"error": "the uploaded file is missing: upload the set again"}
        folder = folder_below(self._data_root, request["path"])
        if folder is None or not folder.exists():
            return {"error": f"{request['path']} is missing: add the set again"}
        return await self._run(folder, work, request)

    async def _run(self, source: Path, work: Path, request: dict[str, Any]) -> dict[str, Any]:
        wanted = {"size": request["size"], "kind": request.get("kind")}
        return await run_check(source, work, wanted, limits=self._limits, within_seconds=self._within)


def _cause_of(error: Exception) -> str:
    """The cause in the owner's terms."""
    if isinstance(error, StoreFullError):
        return f"{error}: free some space (`dartboard storage` names the largest) and upload again"
    return f"the check could not be completed ({printable(f'{type(error).__name__}: {error}')}): upload the set again"
