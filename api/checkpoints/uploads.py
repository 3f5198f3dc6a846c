"""Creates, lists and deletes uploaded checkpoints. A file is stored once, by its sha256."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select
from uuid_utils.compat import uuid7

from api.artifacts import Artifacts, Stored
from api.auth.principal import current_owner
from api.checkpoints.inspection import Told
from api.checkpoints.inspector import Examiner
from api.db.engine import Database, lock_content
from api.db.models import Upload
from api.http.problems import not_found
from api.jobs.id_prefix import newest
from api.models.pins import check_unpinned

_LONGEST_NAME = 200


class UploadService:
    """Runs each change in one transaction. Files are written before their rows and deleted after them."""

    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self._database, self._artifacts = database, artifacts
        self._examiner = Examiner(artifacts)

    async def take(
        self, arrived: Stored, name: str, genotype: str | dict[str, Any] | None, told: Told
    ) -> tuple[Upload, bool]:
        """Store a received file and create its row; returns the row and whether it is new. The same file and genotype
        of one owner share a row.

        told: the data that a state_dict was trained on. Raises ProblemError 422 if the file is not a checkpoint.
        """
        name = _plain(name)
        async with self._artifacts.local(arrived.key) as path:
            examined = await self._examiner.examine(path, name, genotype, told)
        about = {k: v for k, v in asdict(examined).items() if k != "format"}
        async with self._database.transaction() as session:
            await lock_content(session, arrived.sha256)
            # Replaces a stored file with the same checksum, which repairs a damaged one. Precedes the commit, so that
            # no row is visible without its file.
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
        """The upload; None if it does not exist."""
        async with self._database.transaction() as session:
            return await session.get(Upload, upload_id)

    async def list(self, *, limit: int, cursor: UUID | None, id_prefix: str | None = None) -> list[Upload]:
        """Uploads before the cursor, newest first."""
        async with self._database.transaction() as session:
            return list(await session.scalars(newest(Upload, limit, cursor, id_prefix)))

    async def delete(self, upload_id: UUID) -> None:
        """Delete the row, and the file with its last row. Scores keep copies of their own. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            upload = await session.get(Upload, upload_id, with_for_update=True)
            if upload is None:
                raise not_found("uploaded checkpoint", upload_id)
            await check_unpinned(session, uploads=[upload_id])
            await session.delete(upload)
        async with self._database.transaction() as session:
            await lock_content(session, upload.sha256)
            if not await session.scalar(select(exists().where(Upload.sha256 == upload.sha256))):
                await self._artifacts.discard([key_of(upload.sha256)])


def key_of(sha256: str) -> str:
    """The key of an uploaded file."""
    return f"uploads/{sha256}.pt"


def _plain(name: str) -> str:
    """A file name fit to show and store: without folders and control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:_LONGEST_NAME].strip() or "checkpoint.pt"
