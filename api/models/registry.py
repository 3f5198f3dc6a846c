"""Creates, reads, labels and deletes models and their versions."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api.auth.principal import LOCAL, current, current_owner
from api.checkpoints.lookup import Found, Sources
from api.db.engine import Database
from api.db.models import Checkpoint, ModelVersion, RegisteredModel, Upload
from api.http.problems import ProblemError, conflict, not_found
from api.jobs.locking import lock_job
from api.schemas.keys import Role
from api.schemas.models import LATEST, ModelDetail, ModelOut, ModelVersionCreate, ModelVersionOut, ModelVersionPatch

_Row = tuple[ModelVersion, Checkpoint | None, Upload | None]


class ModelRegistry:
    """Runs each change in one transaction, under the lock of the model's row."""

    def __init__(self, database: Database, sources: Sources) -> None:
        self._database, self._sources = database, sources

    async def add(self, body: ModelVersionCreate) -> tuple[ModelVersionOut, bool]:
        """Make a checkpoint a version; returns it, and whether it is new. The same checkpoint is a version once.

        Raises ProblemError 404 for an unknown checkpoint, 409 for one of another family, 403 for another owner's model.
        """
        found = await self._sources.find(body)
        async with self._database.transaction() as session:
            if found.job_id is not None:
                await lock_job(session, found.job_id)  # its checkpoints are not deleted meanwhile
            upload, checkpoint = await _file(session, UUID(found.checkpoint.id))
            model = await _named(session, body.name, found)
            same = ModelVersion.model == model.name, _is(upload, checkpoint)
            if version := await session.scalar(select(ModelVersion).where(*same)):
                return _out((version, checkpoint, upload)), False
            model.newest += 1
            if body.stage is not None:
                await _take_label(session, model.name, body.stage)
            version = ModelVersion(
                id=uuid7(),
                model=model.name,
                number=model.newest,
                checkpoint_id=None if checkpoint is None else checkpoint.id,
                upload_id=None if upload is None else upload.id,
                stage=body.stage,
                note=body.note,
            )
            session.add(version)
            await session.flush()
            await session.refresh(version)
            return _out((version, checkpoint, upload)), True

    async def list(self) -> list[ModelOut]:
        """All models by name."""
        async with self._database.transaction() as session:
            models = list(await session.scalars(select(RegisteredModel).order_by(RegisteredModel.name)))
            columns = ModelVersion.model, ModelVersion.number, ModelVersion.stage
            versions: dict[str, list[tuple[int, str | None]]] = {model.name: [] for model in models}
            for name, number, stage in await session.execute(select(*columns).order_by(ModelVersion.number)):
                versions[name].append((number, stage))
        return [_model_out(model, versions[model.name]) for model in models]

    async def get(self, name: str) -> ModelDetail:
        """A model with its versions. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            model = await _get(session, name)
            rows = await _rows(session, name)
        summary = _model_out(model, [(version.number, version.stage) for version, _, _ in reversed(rows)])
        return ModelDetail(**summary.model_dump(), items=[_out(row) for row in rows])

    async def version(self, name: str, which: str) -> ModelVersionOut:
        """The version of a number or a stage, or the `latest`. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            await _get(session, name)
            return _out(_chosen(await _rows(session, name), name, which))

    async def patch(self, name: str, which: str, patch: ModelVersionPatch) -> ModelVersionOut:
        """Change stage or note. A stage leaves the version that had it. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            await _get(session, name, lock=True)
            row = _chosen(await _rows(session, name), name, which)
            if patch.stage is not None:
                await _take_label(session, name, patch.stage)
            for field in patch.model_fields_set:
                setattr(row[0], field, getattr(patch, field))
            await session.flush()
            return _out(row)

    async def delete(self, name: str, which: str | None = None) -> None:
        """Delete a version, or the model with all versions; checkpoints stay. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            model = await _get(session, name, lock=True)
            row = model if which is None else _chosen(await _rows(session, name), name, which)[0]
            await session.delete(row)


async def _file(session: AsyncSession, checkpoint_id: UUID) -> tuple[Upload | None, Checkpoint | None]:
    """The row of the file, locked against deletion. Raises ProblemError 404 if it was just deleted."""
    upload = await session.get(Upload, checkpoint_id, with_for_update={"read": True})
    checkpoint = None if upload else await session.get(Checkpoint, checkpoint_id, with_for_update={"read": True})
    if upload is None and checkpoint is None:
        raise not_found("checkpoint", checkpoint_id)
    return upload, checkpoint


async def _named(session: AsyncSession, name: str, found: Found) -> RegisteredModel:
    """The model, locked; a new one is created."""
    row = {"name": name, "family": found.family, "owner": current_owner()}
    await session.execute(insert(RegisteredModel).values(row).on_conflict_do_nothing())
    model = await _get(session, name, lock=True)
    caller = current() or LOCAL
    if caller.role is not Role.ADMIN and model.owner != caller.owner:
        raise ProblemError(403, f"the model {name} belongs to {model.owner or 'no key'}: choose another name")
    if model.family != found.family:
        raise conflict(f"the model {name} is of family {model.family!r}, the checkpoint of {found.family!r}")
    return model


async def _get(session: AsyncSession, name: str, *, lock: bool = False) -> RegisteredModel:
    model = await session.get(RegisteredModel, name, with_for_update=lock or None)
    if model is None:
        raise not_found("model", repr(name))
    return model


async def _rows(session: AsyncSession, name: str) -> list[_Row]:
    """The versions, newest first."""
    query = (
        select(ModelVersion, Checkpoint, Upload)
        .outerjoin(Checkpoint, Checkpoint.id == ModelVersion.checkpoint_id)
        .outerjoin(Upload, Upload.id == ModelVersion.upload_id)
        .where(ModelVersion.model == name)
        .order_by(ModelVersion.number.desc())
    )
    return [(version, checkpoint, upload) for version, checkpoint, upload in await session.execute(query)]


def _chosen(rows: Sequence[_Row], name: str, which: str) -> _Row:
    for row in rows:
        if which in (str(row[0].number), row[0].stage, LATEST):
            return row
    known = ", ".join(str(version.number) for version, _, _ in rows) or "none"
    raise ProblemError(404, f"the model {name} has no version {which!r}; versions: {known}")


async def _take_label(session: AsyncSession, name: str, stage: str) -> None:
    labelled = update(ModelVersion).where(ModelVersion.model == name, ModelVersion.stage == stage)
    await session.execute(labelled.values(stage=None))


def _is(upload: Upload | None, checkpoint: Checkpoint | None) -> ColumnElement[bool]:
    if upload is not None:
        return ModelVersion.upload_id == upload.id
    return ModelVersion.checkpoint_id == (checkpoint and checkpoint.id)


def _model_out(model: RegisteredModel, versions: Sequence[tuple[int, str | None]]) -> ModelOut:
    """versions: number and stage, in order."""
    return ModelOut(
        name=model.name,
        owner=model.owner,
        family=model.family,
        versions=len(versions),
        latest=versions[-1][0] if versions else None,
        stages={stage: number for number, stage in versions if stage is not None},
        created_at=model.created_at,
    )


def _out(row: _Row) -> ModelVersionOut:
    version, checkpoint, upload = row
    file = checkpoint or upload
    assert file is not None  # a constraint of the table
    return ModelVersionOut(
        id=version.id,
        model=version.model,
        version=version.number,
        stage=version.stage,
        note=version.note,
        owner=version.owner,
        checkpoint_id=file.id,
        job_id=None if checkpoint is None else checkpoint.job_id,
        epoch=None if checkpoint is None else checkpoint.epoch,
        sha256=file.sha256,
        size=file.size,
        metrics={} if checkpoint is None else checkpoint.metrics,
        created_at=version.created_at,
        links={"self": f"/models/{version.model}/{version.number}", "download": f"/checkpoints/{file.id}"},
    )
