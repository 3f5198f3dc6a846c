"""Collects the nodes and edges of a lineage from the rows of jobs, checkpoints and data sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Text, literal_column, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Checkpoint, Dataset, Epoch, Job, ModelVersion, Upload
from api.http.problems import ProblemError
from api.kinds import kind_of
from api.schemas.jobs import JobKind
from api.schemas.lineage import LineageEdge, LineageNode, LineageOut
from darts_core.data.available_sets import PUBLISHED
from darts_core.families import family_in

# Jobs of one lineage: a data set may have thousands.
MOST_JOBS: Final = 200
# As the indexes of the jobs have them.
_DATASET: Final = literal_column("(jobs.spec ->> 'dataset')", Text)
_STARTED_FROM: Final = literal_column("(jobs.spec #>> '{init_from,job}')", Text)
_SCORED: Final = literal_column("(jobs.spec #>> '{checkpoint,id}')", Text)
_MEMBERS: Final = literal_column("(jobs.spec -> 'members')", JSONB)
# Predictions only try a model.
_BUILDS: Final = Job.kind != JobKind.PREDICTION


class Lineage:
    """One graph: all origins of its start, all that was made of it, and the origins of that."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._nodes: dict[str, LineageNode] = {}
        self._edges: dict[tuple[str, str], None] = {}
        self._truncated = False

    async def of(self, name: str) -> LineageOut:
        """The lineage of a job, a checkpoint, a model's version or a data set by id, or of a data set by name.

        Raises ProblemError 404.
        """
        start, jobs, above = await self._start(name)
        await self._up([*await self._down(jobs), *above])
        await self._add_versions()
        return LineageOut(
            start=start,
            nodes=list(self._nodes.values()),
            edges=[LineageEdge(origin=origin, result=result) for origin, result in self._edges],
            truncated=self._truncated,
        )

    async def _start(self, name: str) -> tuple[str, list[Job], list[Job]]:
        """The start's node, the jobs whose results are followed, and those whose origins are."""
        session, found = self._session, _as_id(name)
        if found is None:
            return await self._start_at_dataset(*_edition(name))
        if dataset := await session.get(Dataset, found):
            return await self._start_at_dataset(dataset.name, dataset.checksum)
        if version := await session.get(ModelVersion, found):
            _, jobs, above = await self._start(str(version.checkpoint_id or version.upload_id))
            return str(found), jobs, above
        if job := await session.get(Job, found):
            return str(found), [job], [job]
        if checkpoint := await session.get(Checkpoint, found):
            [job] = await self._read(Job.id == checkpoint.job_id)
            self._add_checkpoint(checkpoint)
            using = await self._using([str(found)])
            if checkpoint.epoch > 0:
                self._link(str(job.id), str(found))
            else:
                self._link(str(found), str(job.id))
            return str(found), using, [job]
        if upload := await session.get(Upload, found):
            self._add_upload(upload)
            return str(found), await self._using([str(found)]), []
        raise ProblemError(404, f"no job, checkpoint or data set has the id {found}")

    async def _start_at_dataset(self, name: str, checksum: str | None) -> tuple[str, list[Job], list[Job]]:
        """Without a checksum, the jobs of all editions."""
        own = select(Job).where(_DATASET.in_([name]), _BUILDS)
        query = own.order_by(Job.id.desc().nulls_last()).limit(MOST_JOBS + 1)
        newest = list(await self._session.scalars(query))
        jobs = [job for job in newest[:MOST_JOBS] if checksum in (None, _checksum_of_data(job))]
        if not jobs and name not in PUBLISHED and not await self._is_uploaded(name):
            raise ProblemError(404, f"there is no data set {name[:120]!r}: `GET /datasets` lists them")
        self._truncated = len(newest) > MOST_JOBS
        start = _dataset_id(name, checksum)
        self._nodes[start] = LineageNode(id=start, type="dataset", name=name, checksum=checksum)
        for edition in {_dataset_id(name, _checksum_of_data(job)): None for job in jobs}:
            if edition != start:
                self._link(start, edition)
        return start, jobs, []

    async def _is_uploaded(self, dataset: str) -> bool:
        return await self._session.scalar(select(Dataset.id).where(Dataset.name == dataset)) is not None

    async def _up(self, jobs: Iterable[Job]) -> None:
        """Add the jobs and everything that they were made of."""
        level, done = list({job.id: job for job in jobs}.values()), set[UUID]()
        while level:
            done |= {job.id for job in level}
            wanted: set[UUID] = set()
            for job in level:
                self._add_job(job)
                wanted |= await self._add_origins(job)
            level = await self._read(Job.id.in_(wanted - done)) if wanted - done else []
            missing = wanted - done - {job.id for job in level}
            for each in missing:
                self._nodes.setdefault(
                    str(each), LineageNode(id=str(each), type="job", name=None, checksum=None, exists=False)
                )

    async def _add_origins(self, job: Job) -> set[UUID]:
        """Link the job's data set, cell and files to it. Returns the jobs that these come from."""
        spec, own = job.spec, str(job.id)
        self._link_dataset(job)
        wanted = {job.parent_id} if job.parent_id is not None else set()
        if job.parent_id is not None:
            self._link(str(job.parent_id), own)
        if job.source_id is not None:
            wanted.add(job.source_id)
        if job.kind == "evaluation" and spec.get("genotype"):
            cell = self._add_cell(spec["genotype"])
            self._link(cell, own)
            if job.source_id is not None:
                self._link(str(job.source_id), cell)
        elif job.source_id is not None and "checkpoint" not in spec:
            self._link(str(job.source_id), own)
        if start := spec.get("init_from"):
            wanted.add(UUID(start["job"]))
            self._link(start["job"], own)
        for given in [spec["checkpoint"]] if "checkpoint" in spec else spec.get("members", []):
            wanted |= await self._add_given(given, own)
        return wanted

    async def _add_given(self, given: dict[str, Any], user: str) -> set[UUID]:
        """Link a file that a score or an ensemble measured. Returns the job that made it."""
        checkpoint_id = UUID(given["id"])
        self._link(given["id"], user)
        if checkpoint := await self._session.get(Checkpoint, checkpoint_id):
            self._add_checkpoint(checkpoint)
            self._link(str(checkpoint.job_id), given["id"])
            return {checkpoint.job_id}
        if upload := await self._session.get(Upload, checkpoint_id):
            self._add_upload(upload)
            return set()
        node = LineageNode(id=given["id"], type="checkpoint", name=None, checksum=given["sha256"], exists=False)
        self._nodes[given["id"]] = node
        return set()

    async def _down(self, jobs: Iterable[Job]) -> list[Job]:
        """Add the results of the jobs and of everything that was made of them; returns all these jobs."""
        level, done = list(jobs), dict[UUID, Job]()
        while level:
            if len(done) + len(level) > MOST_JOBS:
                self._truncated = True
                level = level[: MOST_JOBS - len(done)]
            done |= {job.id: job for job in level}
            made = await self._add_results(level)
            following = await self._using([*(str(job.id) for job in level), *made])
            level = [job for job in following if job.id not in done]
        return list(done.values())

    async def _add_results(self, jobs: list[Job]) -> list[str]:
        """The stored checkpoints of trainings, whose ids are returned, and the last cell of a search."""
        made = []
        trainings = [job.id for job in jobs if kind_of(job).trains]
        own = Checkpoint.job_id.in_(trainings), Checkpoint.epoch > 0, Checkpoint.step.is_(None)
        for checkpoint in await self._session.scalars(select(Checkpoint).where(*own).order_by(Checkpoint.id)):
            self._add_checkpoint(checkpoint)
            self._link(str(checkpoint.job_id), str(checkpoint.id))
            made.append(str(checkpoint.id))
        for job in jobs:
            if kind_of(job).finds_cells:
                last = select(Epoch.genotype).where(Epoch.job_id == job.id).order_by(Epoch.epoch.desc()).limit(1)
                if genotype := await self._session.scalar(last):
                    self._link(str(job.id), self._add_cell(genotype))
        return made

    async def _using(self, ids: Collection[str]) -> list[Job]:
        """The jobs that build on these jobs or checkpoints, each with indexes of its own."""
        if not ids:
            return []
        found = [UUID(each) for each in ids]
        containing = [_MEMBERS.contains([{field: each}]) for each in ids for field in ("job_id", "id")]
        queries: list[ColumnElement[bool]] = [
            Job.source_id.in_(found),
            Job.parent_id.in_(found),
            _STARTED_FROM.in_(ids),
            _SCORED.in_(ids),
            (Job.kind == "ensemble") & or_(*containing),
        ]
        jobs: dict[UUID, Job] = {}
        for query in queries:
            for job in await self._read(query & _BUILDS):
                jobs[job.id] = job
        return list(jobs.values())

    async def _read(self, where: ColumnElement[bool]) -> list[Job]:
        found = list(await self._session.scalars(select(Job).where(where).order_by(Job.id).limit(MOST_JOBS + 1)))
        self._truncated |= len(found) > MOST_JOBS
        return found[:MOST_JOBS]

    async def _add_versions(self) -> None:
        """The models' versions of the files that are nodes."""
        files = [UUID(node.id) for node in self._nodes.values() if node.type == "checkpoint"]
        of_these = ModelVersion.checkpoint_id.in_(files) | ModelVersion.upload_id.in_(files)
        for version in await self._session.scalars(select(ModelVersion).where(of_these).order_by(ModelVersion.id)):
            file, own = str(version.checkpoint_id or version.upload_id), str(version.id)
            self._nodes[own] = LineageNode(
                id=own,
                type="model",
                name=f"{version.model}/{version.number}",
                checksum=self._nodes[file].checksum,
                created_at=version.created_at,
            )
            self._link(file, own)

    def _link(self, origin: str, result: str) -> None:
        self._edges[origin, result] = None

    def _add_job(self, job: Job) -> None:
        self._nodes[str(job.id)] = LineageNode(
            id=str(job.id),
            type="job",
            kind=job.kind,
            name=job.name,
            status=job.status,
            checksum=_of_json(job.spec),
            created_at=job.created_at,
        )

    def _link_dataset(self, job: Job) -> None:
        name = job.spec.get("dataset")
        if name is None:
            return
        checksum = _checksum_of_data(job)
        node = LineageNode(id=_dataset_id(name, checksum), type="dataset", name=name, checksum=checksum)
        self._nodes.setdefault(node.id, node)
        self._link(node.id, str(job.id))

    def _add_cell(self, genotype: dict[str, Any]) -> str:
        checksum = _of_json(genotype)
        node = LineageNode(id=f"cell:{checksum}", type="cell", name=None, checksum=checksum)
        self._nodes.setdefault(node.id, node)
        return node.id

    def _add_checkpoint(self, checkpoint: Checkpoint) -> None:
        self._nodes[str(checkpoint.id)] = LineageNode(
            id=str(checkpoint.id),
            type="checkpoint",
            name=checkpoint.name,
            epoch=checkpoint.epoch or None,
            checksum=checkpoint.sha256,
            created_at=checkpoint.created_at,
        )

    def _add_upload(self, upload: Upload) -> None:
        self._nodes[str(upload.id)] = LineageNode(
            id=str(upload.id),
            type="checkpoint",
            name=upload.name,
            checksum=upload.sha256,
            created_at=upload.created_at,
        )


def _checksum_of_data(job: Job) -> str | None:
    checksum: str | None = job.spec.get(family_in(job.spec).checksum_field)
    return checksum


def _dataset_id(name: str, checksum: str | None) -> str:
    return f"dataset:{name}" if checksum is None else f"dataset:{name}@{checksum}"


def _edition(name: str) -> tuple[str, str | None]:
    """Name and checksum of a data set's node, or of a name alone."""
    known, _, checksum = name.removeprefix("dataset:").partition("@")
    return known, checksum or None


def _of_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _as_id(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
