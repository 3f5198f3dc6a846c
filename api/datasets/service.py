"""Creates, lists, reads and deletes uploaded data sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api.artifacts import Artifacts, Stored
from api.auth.principal import current
from api.datasets.check_queue import DatasetChecker
from api.datasets.quota import check_quota_left, quota_of_request
from api.datasets.references import unfinished_jobs
from api.datasets.storage import folder_below, packed_key
from api.db.engine import Database, lock_content
from api.db.models import Dataset
from api.http.problems import ProblemError, conflict, invalid, not_found
from api.schemas.datasets import DatasetCreate, DatasetState
from api.schemas.keys import Role
from darts_core.data.catalogue import BUILT_IN, FOLDER_PREFIX, DatasetInfo
from darts_core.data.text.catalogue import PYTHON_DOCS, TEXT_SETS, TextInfo, is_uploaded_text
from darts_core.families import NetworkFamily, family_in
from darts_core.validation import did_you_mean

_NAMES_LISTED = 30


@dataclass(frozen=True)
class Brought:
    """A data set; replayed: an earlier request with the same Idempotency-Key created it."""

    dataset: Dataset
    replayed: bool


class DatasetService:
    """Runs each change in one transaction."""

    def __init__(self, database: Database, artifacts: Artifacts, checker: DatasetChecker, data_root: Path) -> None:
        self._database, self._artifacts, self._checker = database, artifacts, checker
        self._data_root = data_root

    async def check_room(self) -> None:
        """Raise ProblemError 413 if the request's owner has used up the quota."""
        async with self._database.single_statements() as session:
            await check_quota_left(session)

    def check_new(self, body: DatasetCreate) -> None:
        """Validate the fields that do not depend on the data. Raises ProblemError."""
        if body.kind == "text" and body.size is not None:
            raise invalid("size", "applies to images only: a text has none")
        if body.name in BUILT_IN or not is_uploaded_text(body.name):
            raise conflict(f"{body.name} is a built-in data set: choose another name")
        if body.path is not None and folder_below(self._data_root, body.path) is None:
            message = f"there is no folder {body.path!r} below the service's data root; upload an archive instead"
            raise invalid("path", message)

    async def bring(
        self, dataset_id: UUID, body: DatasetCreate, upload: Stored | None, idempotency_key: str | None
    ) -> Brought:
        """Create a set to be checked, replacing a failed one of the same owner.

        Raises ProblemError 409 if the name is taken or the Idempotency-Key was used with another body.
        """
        body_hash = _hash_of(body, upload)
        dataset = Dataset(
            id=dataset_id,
            name=body.name,
            kind=body.kind or "unknown",
            request={
                "upload": upload.key if upload else None,
                "path": body.path,
                "size": body.size,
                "kind": body.kind,
                "dataset_bytes": quota_of_request(),
            },
            state=DatasetState.CHECKING,
            idempotency_key=idempotency_key,
            body_hash=body_hash,
        )
        try:
            async with self._database.transaction() as session:
                await lock_content(session, str(dataset_id))
                if earlier := await _created_with(session, idempotency_key, body_hash):
                    return Brought(earlier, replayed=True)
                await _make_room(session, body.name)
                session.add(dataset)
                await session.flush()
                await session.refresh(dataset)
        except IntegrityError as error:
            async with self._database.transaction() as session:
                if earlier := await _created_with(session, idempotency_key, body_hash):
                    return Brought(earlier, replayed=True)
            raise conflict(
                f"there is a data set {body.name!r} already: remove it (`dartboard datasets remove {body.name}`), or "
                "choose another name"
            ) from error
        self._checker.nudge()
        return Brought(dataset, replayed=False)

    async def discard(self, dataset_id: UUID, upload: Stored) -> None:
        """Remove an upload unless its row exists: a commit whose response was lost has created it."""
        async with self._database.transaction() as session:
            await lock_content(session, str(dataset_id))
            if await session.get(Dataset, dataset_id) is None:
                await self._artifacts.discard([upload.key])

    async def list(self) -> list[Dataset]:
        """The uploaded sets, newest first."""
        async with self._database.transaction() as session:
            return list(await session.scalars(select(Dataset).order_by(Dataset.id.desc())))

    async def get(self, name: str) -> Dataset:
        """An uploaded set. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            found = await session.scalar(select(Dataset).where(Dataset.name == name))
        if found is None:
            raise not_found("data set", f"{name!r}")
        return found

    async def delete(self, name: str) -> None:
        """Delete an uploaded set. Raises ProblemError 409 while it is checked or an active job uses it."""
        if name in BUILT_IN or not is_uploaded_text(name):
            raise conflict(f"{name} is built in: it cannot be deleted")
        dataset = await self.get(name)
        async with self._database.transaction() as session:
            this = select(Dataset).where(Dataset.id == dataset.id).with_for_update(skip_locked=True)
            locked = await session.scalar(this.execution_options(populate_existing=True))
            if locked is None:
                raise conflict(f"{name} is being checked or claimed by a job: try again later")
            if jobs := await unfinished_jobs(session, locked):
                ids = ", ".join(str(job.id) for job in jobs)
                raise conflict(f"unfinished jobs use {name} ({ids}): let them end, or cancel them")
            await session.delete(locked)
        await self._delete_files(locked)

    async def _delete_files(self, dataset: Dataset) -> None:
        """Delete the files of a deleted row, except a packed file that another row shares."""
        if upload := dataset.request.get("upload"):
            await self._artifacts.discard([upload])
        if dataset.checksum:
            async with self._database.transaction() as session:
                await lock_content(session, dataset.checksum)
                if not await session.scalar(select(exists().where(Dataset.checksum == dataset.checksum))):
                    await self._artifacts.discard([packed_key(dataset.checksum)])

    async def info(self, name: str) -> DatasetInfo | None:
        """The dimensions of a set named in a spec; None for one that only the catalogue or a worker knows.

        Raises ProblemError 422 for an unknown or unusable set, 409 for one that is still being checked.
        """
        if name in BUILT_IN or name.startswith(FOLDER_PREFIX):
            return None
        if name == PYTHON_DOCS or name in TEXT_SETS:
            raise invalid("dataset", f"{name} is a text: use it with family rnn")
        return info_of(await self._usable(name, "images", BUILT_IN))

    async def text_info(self, name: str) -> TextInfo | None:
        """Like `info`, for a text."""
        if name in BUILT_IN:
            known = ", ".join([PYTHON_DOCS, *TEXT_SETS])
            raise invalid("dataset", f"{name} is a set of images: use it with family cnn; known: {known}")
        if not is_uploaded_text(name):
            return None
        return text_info_of(await self._usable(name, "text", [PYTHON_DOCS, *TEXT_SETS]))

    async def info_for(self, family: NetworkFamily, name: str) -> DatasetInfo | TextInfo | None:
        """What is known of a set that the spec of a family names. Raises as `info` does."""
        return await (self.text_info if family.data == "text" else self.info)(name)

    async def kind(self, name: str) -> str:
        """`images` or `text` for an uploaded set; `unknown` if there is no set of this name yet."""
        async with self._database.transaction() as session:
            return await session.scalar(select(Dataset.kind).where(Dataset.name == name)) or "unknown"

    async def trained_on(self, name: str) -> dict[str, Any]:
        """The fields of darts_core's TrainedOn for a network trained on an uploaded set of images.

        Raises ProblemError like `info`.
        """
        found = await self._usable(name, "images", BUILT_IN)
        info = found.info or {}
        fields: dict[str, Any] = {field: info[field] for field in ("classes", "mean", "std") if field in info}
        return {**fields, "dataset": name, "dataset_checksum": found.checksum, "size": [info["height"], info["width"]]}

    async def _usable(self, name: str, kind: str, built_in: Iterable[str]) -> Dataset:
        async with self._database.transaction() as session:
            found = await session.scalar(select(Dataset).where(Dataset.name == name))
            if found is None:
                ready = select(Dataset.name).where(Dataset.state == DatasetState.READY, Dataset.kind == kind)
                names = [*built_in, *await session.scalars(ready.order_by(Dataset.id.desc()).limit(_NAMES_LISTED))]
                known = ", ".join(names)
                what = "text" if kind == "text" else "data set"
                meant = did_you_mean(name, names)
                raise invalid("dataset", f"unknown {what} {name[:200]!r}{meant}; known: {known}, or folder:NAME")
        if found.state == DatasetState.CHECKING:
            raise conflict(f"the data set {name} is still being checked: try again when it is ready")
        if found.state == DatasetState.FAILED:
            raise invalid("dataset", f"{name} cannot be used: {found.error}")
        if found.kind != kind:
            use = "text: use it with family rnn" if found.kind == "text" else "set of images: use it with family cnn"
            raise invalid("dataset", f"{name} is a {use}")
        return found

    async def info_of_spec(self, spec: dict[str, Any]) -> DatasetInfo | None:
        """Like `info` for a job's spec; also None for a set deleted since."""
        found = await self._of_spec(spec)
        return None if found is None else info_of(found)

    async def text_info_of_spec(self, spec: dict[str, Any]) -> TextInfo | None:
        """Like `info_of_spec`, for a text."""
        found = await self._of_spec(spec)
        return None if found is None else text_info_of(found)

    async def _of_spec(self, spec: dict[str, Any]) -> Dataset | None:
        checksum = family_in(spec).uploaded_checksum(spec)
        if checksum is None:
            return None
        async with self._database.transaction() as session:
            return await session.scalar(select(Dataset).where(Dataset.checksum == checksum).limit(1))

    async def packed(self, checksum: str) -> Stored:
        """The file of a ready set. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            size = await session.scalar(select(Dataset.size).where(Dataset.checksum == checksum).limit(1))
        if size is None:
            raise ProblemError(404, f"no data set has the checksum {checksum}: it has been deleted")
        return Stored(packed_key(checksum), checksum, size)


def info_of(dataset: Dataset) -> DatasetInfo:
    """The dimensions of a ready set of images, with which specs are resolved."""
    info = dataset.info or {}
    sizes = {field: info[field] for field in ("height", "width", "channels", "train", "valid", "test")}
    return DatasetInfo(dataset.name, len(info["classes"]), checksum=dataset.checksum, **sizes)


def text_info_of(dataset: Dataset) -> TextInfo:
    """Like `info_of`, for a text."""
    info = dataset.info or {}
    sizes = {field: info[field] for field in ("words", "train", "valid", "test")}
    return TextInfo(dataset.name, checksum=dataset.checksum, all_words=info.get("all_words"), **sizes)


async def _make_room(session: AsyncSession, name: str) -> None:
    """Delete a failed set of this name; only its report is stored."""
    failed = select(Dataset).where(Dataset.name == name, Dataset.state == DatasetState.FAILED).with_for_update()
    dataset = await session.scalar(failed)
    if dataset is None:
        return
    principal = current()
    if principal is not None and principal.role is not Role.ADMIN and principal.owner != dataset.owner:
        raise conflict(f"{name} is a failed upload of {dataset.owner or 'another user'}: choose another name")
    await session.delete(dataset)
    await session.flush()


async def _created_with(session: AsyncSession, key: str | None, body_hash: str) -> Dataset | None:
    if key is None:
        return None
    known = await session.scalar(select(Dataset).where(Dataset.idempotency_key == key))
    if known is not None and known.body_hash != body_hash:
        raise conflict("this Idempotency-Key was used before with another body; use a new key for a new data set")
    return known


def _hash_of(body: DatasetCreate, upload: Stored | None) -> str:
    value: Sequence[Any] = (body.model_dump(mode="json"), upload.sha256 if upload else None)
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def new_id() -> UUID:
    return uuid7()
