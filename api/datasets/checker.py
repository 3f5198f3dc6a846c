"""Checks uploaded sets one after another, each in a child process."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import func, select

from api.artifacts import Artifacts
from api.database import Database, lock_content
from api.datasets.child import run_check
from api.datasets.limits import Limits
from api.datasets.storing import UPLOADS, folder_below, packed_key
from api.models import Dataset
from api.problems import ProblemError
from api.schemas.datasets import DatasetState

_PAUSE_SECONDS: Final = 5.0
# An upload without a row for so long has no request any more that could still make one.
_ABANDONED_SECONDS: Final = 24 * 3600.0
_log = structlog.get_logger(__name__)


class DatasetChecker:
    """The row is the truth: one that is `checking` is checked, again if need be, until it is ready or failed.

    Its lock is held meanwhile, so several API processes never check one set twice, and a crash gives it back.
    """

    def __init__(
        self, database: Database, artifacts: Artifacts, data_root: Path, limits: Limits, within_seconds: float
    ) -> None:
        self._database, self._artifacts, self._data_root = database, artifacts, data_root
        self._limits, self._within = limits, within_seconds
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """There is something to check."""
        self._nudged.set()

    async def run(self) -> None:
        """Check until cancelled."""
        await self._artifacts.remove_older(UPLOADS, time.time() - _ABANDONED_SECONDS)
        while True:
            try:
                while await self._check_one():
                    pass
            except Exception as error:  # the database is away: the next pass tries again
                _log.warning("dataset_not_checked", error=f"{type(error).__name__}: {error}"[:300])
            try:
                await asyncio.wait_for(self._nudged.wait(), _PAUSE_SECONDS)
            except TimeoutError:
                continue
            finally:
                self._nudged.clear()

    async def _check_one(self) -> bool:
        waiting = select(Dataset).where(Dataset.state == DatasetState.CHECKING).order_by(Dataset.id).limit(1)
        async with self._database.transaction() as session:
            dataset = await session.scalar(waiting.with_for_update(skip_locked=True))
            if dataset is None:
                return False
            with self._artifacts.workspace() as work:
                found = await self._check(dataset.request, work)
                if "checksum" in found:
                    await lock_content(session, found["checksum"])
                    await self._artifacts.adopt(work / "packed", packed_key(found["checksum"]))
            dataset.report = found.get("report")
            dataset.error = found.get("error")
            dataset.kind = found.get("kind", dataset.kind)
            dataset.state = DatasetState.FAILED if dataset.error else DatasetState.READY
            dataset.checksum, dataset.size, dataset.info = (found.get(k) for k in ("checksum", "size", "info"))
            dataset.checked_at = func.clock_timestamp()  # now() is when the check began
            upload = dataset.request.get("upload")
        if upload:
            await self._artifacts.delete([upload])
        return True

    async def _check(self, request: dict[str, Any], work: Path) -> dict[str, Any]:
        if upload := request.get("upload"):
            try:
                async with self._artifacts.local(upload) as source:
                    return await self._run(source, work, request)
            except ProblemError as error:
                if error.status != 404:
                    raise
                return {"error": "the uploaded file is gone: bring the set again"}
        folder = folder_below(self._data_root, request["path"])
        if folder is None or not folder.exists():
            return {"error": f"{request['path']} is gone: bring the set again"}
        return await self._run(folder, work, request)

    async def _run(self, source: Path, work: Path, request: dict[str, Any]) -> dict[str, Any]:
        wanted = {"size": request["size"], "kind": request.get("kind")}
        return await run_check(source, work, wanted, limits=self._limits, within_seconds=self._within)
