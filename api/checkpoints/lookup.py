"""Finds the checkpoint file that the body of a score names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args
from uuid import UUID

from api.artifacts import Stored
from api.checkpoints.uploads import UploadService, key_of
from api.datasets.service import DatasetService
from api.db.models import Checkpoint, Job, Upload
from api.http.problems import conflict, invalid
from api.jobs.queries import Reader
from api.schemas.jobs import JobKind
from api.schemas.models import NamedCheckpoint
from api.schemas.scores import ScoreCreate
from darts_core.configs.score import CheckpointSource, ScoredCheckpoint
from darts_core.data.catalogue import BUILT_IN
from darts_core.genotypes import family_of


@dataclass(frozen=True)
class Found:
    """The file to score. job_id: the evaluation or search that saved it.

    dataset, checksum: of its training data, if known. columns: the batch size of a language model's test.
    """

    checkpoint: ScoredCheckpoint
    stored: Stored
    job_id: UUID | None
    family: str
    dataset: str | None
    checksum: str | None
    columns: int | None = None


class Sources:
    """Finds checkpoints among jobs and uploads."""

    def __init__(self, reading: Reader, uploads: UploadService, datasets: DatasetService) -> None:
        self._reading, self._uploads, self._datasets = reading, uploads, datasets

    async def find(self, body: ScoreCreate | NamedCheckpoint) -> Found:
        """Raises ProblemError 404 for an unknown id, 409 for a job without a checkpoint, 422 unless exactly one source
        is named.
        """
        named = [n for n in ("checkpoint_id", "evaluation_id", "search_id") if getattr(body, n) is not None]
        if len(named) != 1:
            raise invalid("checkpoint_id", "give exactly one of checkpoint_id, evaluation_id and search_id")
        if body.checkpoint_id is not None:
            if body.epoch is not None:
                raise invalid("epoch", "names an epoch of an evaluation or a search: give its id, too")
            return await self.by_id(body.checkpoint_id)
        if body.evaluation_id is not None:
            job = await self._reading.job(body.evaluation_id, JobKind.EVALUATION)
            return await self.of_job(job, await self._reading.checkpoint(job, body.epoch or "best"))
        assert body.search_id is not None
        job = await self._reading.job(body.search_id, JobKind.SEARCH)
        return await self.of_job(job, await self._reading.checkpoint(job, body.epoch or "last"))

    async def by_id(self, checkpoint_id: UUID) -> Found:
        """The checkpoint of one network. Raises ProblemError 404 for an unknown id, 409 for a file of a score or
        ensemble.
        """
        if upload := await self._uploads.find(checkpoint_id):
            return of_upload(upload)
        checkpoint = await self._reading.checkpoint_by_id(checkpoint_id)
        job = await self._reading.job(checkpoint.job_id)
        if job.kind not in get_args(CheckpointSource):
            raise conflict(
                f"{checkpoint_id} is a file of the {job.kind} {job.id}: give the checkpoint that it measured"
            )
        return await self.of_job(job, checkpoint)

    async def of_job(self, job: Job, checkpoint: Checkpoint) -> Found:
        """The checkpoint of a search or an evaluation."""
        stored = checkpoint.stored
        family = family_of(job.spec)
        if family == "rnn":
            scored = ScoredCheckpoint(id=str(checkpoint.id), source=job.kind, sha256=checkpoint.sha256)
            columns = job.spec.get("test_batch_size", job.spec["validation_batch_size"])
            return Found(scored, stored, job.id, family, job.spec["dataset"], job.spec.get("text_checksum"), columns)
        info = BUILT_IN.get(job.spec["dataset"]) or await self._datasets.info_of_spec(job.spec)
        scored = ScoredCheckpoint(
            id=str(checkpoint.id),
            source=job.kind,
            sha256=checkpoint.sha256,
            classes=info.classes if info else None,
        )
        return Found(scored, stored, job.id, family, job.spec["dataset"], job.spec.get("dataset_checksum"))


def of_upload(upload: Upload) -> Found:
    """The file of an upload."""
    scored = ScoredCheckpoint(
        id=str(upload.id),
        source="upload",
        sha256=upload.sha256,
        format="authors" if upload.format == "authors" else "dartboard",
        genotype=upload.about["genotype"] if upload.format == "authors" else None,
        classes=upload.about["classes"],
        trained_on=upload.about.get("trained_on"),
    )
    stored = Stored(key_of(upload.sha256), upload.sha256, upload.size)
    return Found(
        scored, stored, None, family_of(upload.about), upload.about["dataset"], upload.about["dataset_checksum"]
    )
