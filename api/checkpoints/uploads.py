"""Uploaded checkpoints: taken in, listed, deleted. A file is stored once, by its sha256."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select
from uuid_utils.compat import uuid7

from api.artifacts import Artifacts, Stored
from api.auth.principal import current_owner
from api.checkpoints.inspect_child import Told
from api.checkpoints.inspector import Examiner
from api.db.engine import Database, lock_content
from api.db.models import Upload
from api.http.problems import not_found
from api.jobs.id_prefix import begins_with

_LONGEST_NAME = 200


class UploadService:
    """Each change is one transaction; files come before rows and go after them."""

    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self._database, self._artifacts = database, artifacts
        self._examiner = Examiner(artifacts)

    async def take(
        self, arrived: Stored, name: str, genotype: str | dict[str, Any] | None, told: Told
    ) -> tuple[Upload, bool]:
        """Keep a file that has arrived, and give it a row; whether it is new: of one owner the same file and
        genotype are one.

        told: of the data that a state_dict was trained on. Raises ProblemError 422 for what is no checkpoint.
        """
        name = _plain(name)
        async with self._artifacts.local(arrived.key) as path:
            examined = await self._examiner.examine(path, name, genotype, told)
        about = {k: v for k, v in asdict(examined).items() if k != "format"}
        async with self._database.transaction() as session:
            await lock_content(session, arrived.sha256)
            # Over a file of the same bytes, too: where that one was damaged, it is whole again. Before the commit,
            # which must not show a row without a file.
            await self._artifacts.move(arrived.key, key_of(arrived.sha256))
            for upload in await session.scalars(select(Upload).where(Upload.sha256 == arrived.sha256)):
                if upload.about == about and upload.owner == current_owner():
                    return upload, False
            upload = Upload(
                id=uuid7(),
                name=name,
                format=examined.format,
                sha256=arrived.sha256,
                size=arrived.size,
                about=about,
            )
            session.add(upload)
            await session.flush()
            await session.refresh(upload)
        return upload, True

    async def find(self, upload_id: UUID) -> Upload | None:
        """None when there is none with this id."""
        async with self._database.transaction() as session:
            return await session.get(Upload, upload_id)

    async def list(self, *, limit: int, cursor: UUID | None, id_prefix: str | None = None) -> list[Upload]:
        """Newest first, below the cursor."""
        query = select(Upload).order_by(Upload.id.desc()).limit(limit)
        if cursor is not None:
            query = query.where(Upload.id < cursor)
        if id_prefix is not None:
            query = query.where(begins_with(Upload.id, id_prefix))
        async with self._database.transaction() as session:
            return list(await session.scalars(query))

    async def delete(self, upload_id: UUID) -> None:
        """Forget it; the file goes with its last row. Scores of it keep a copy of their own. 404 when there is none."""
        async with self._database.transaction() as session:
            upload = await session.get(Upload, upload_id)
            if upload is None:
                raise not_found("uploaded checkpoint", upload_id)
            await session.delete(upload)
        async with self._database.transaction() as session:
            await lock_content(session, upload.sha256)
            if not await session.scalar(select(exists().where(Upload.sha256 == upload.sha256))):
                await self._artifacts.discard([key_of(upload.sha256)])


def key_of(sha256: str) -> str:
    """Where an uploaded file lies in the store."""
    return f"uploads/{sha256}.pt"


def _plain(name: str) -> str:
    """A file's name as it may be shown and stored: no folders, no control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:_LONGEST_NAME].strip() or "checkpoint.pt"
