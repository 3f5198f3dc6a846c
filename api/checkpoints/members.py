"""Finds the files of an ensemble's members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from api.artifacts import Stored
from api.checkpoints.lookup import Found, Sources
from api.db.models import Checkpoint, Job
from api.http.problems import ProblemError, conflict, invalid
from api.jobs.queries import Reader
from api.schemas.ensembles import EnsembleCreate, MemberCreate
from api.schemas.jobs import JobKind, Status
from darts_core.configs.ensemble import EnsembleMember, file_of, logits_of
from darts_core.configs.score import ScoredCheckpoint
from darts_core.families import family_in

_SOURCES: Final = ("evaluation_id", "checkpoint_id", "score_id")
_MOST_FILES: Final = 1000


@dataclass(frozen=True)
class Member:
    """One member of an ensemble.

    found: its checkpoint; for a score, `dataset` and `checksum` are those of the scored data. logits: stored by the
    score. kept: an evaluation's checkpoints by epoch.
    """

    found: Found
    about: EnsembleMember
    logits: Stored | None
    kept: dict[int, Checkpoint]


class Members:
    """Finds the members that the body of an ensemble names."""

    def __init__(self, sources: Sources, reading: Reader) -> None:
        self._sources, self._reading = sources, reading

    async def find(self, body: EnsembleCreate) -> list[Member]:
        """Raises ProblemError 404 for an unknown id, 409 for a job without the file, 422 unless a member names exactly
        one source. The message gives the member's index.
        """
        found = []
        for place, member in enumerate(body.members):
            try:
                found.append(await self._find(member))
            except ProblemError as error:
                if error.status == 422:
                    raise invalid(f"members.{place}", error.detail) from error
                raise ProblemError(error.status, f"members.{place}: {error.detail}") from error
        return found

    async def _find(self, member: MemberCreate) -> Member:
        if sum(getattr(member, name) is not None for name in _SOURCES) != 1:
            raise invalid("evaluation_id", f"give exactly one of {', '.join(_SOURCES)}")
        if member.epoch is not None and member.evaluation_id is None:
            raise invalid("epoch", "names an epoch of an evaluation: give its id")
        if member.checkpoint_id is not None:
            found = await self._sources.by_id(member.checkpoint_id)
            job = None if found.job_id is None else await self._reading.job(found.job_id)
            return Member(found, _about(found.checkpoint, job), None, {})
        if member.score_id is not None:
            return await self._of_score(await self._reading.job(member.score_id, JobKind.SCORE))
        assert member.evaluation_id is not None
        job = await self._reading.job(member.evaluation_id, JobKind.EVALUATION)
        checkpoint = await self._reading.checkpoint(job, member.epoch or "best")
        found = await self._sources.of_job(job, checkpoint)
        kept = {c.epoch: c for c in await self._reading.checkpoints(job)}
        return Member(found, _about(found.checkpoint, job, checkpoint.epoch), None, kept)

    async def _of_score(self, score: Job) -> Member:
        if score.status != Status.SUCCEEDED:
            raise conflict(f"the score {score.id} is {score.status}: its logits are available once it has succeeded")
        logits = await self._reading.file(score, "logits.safetensors")
        given = next(c for c in await self._reading.checkpoints(score) if c.epoch == 0)
        checkpoint = ScoredCheckpoint(**score.spec["checkpoint"])
        family = family_in(score.spec)
        found = Found(
            checkpoint,
            given.stored,
            score.id,
            family.name,
            score.spec["dataset"],
            score.spec.get(family.checksum_field),
            # The score's actual columns, if its spec left them to the checkpoint.
            (score.result or {}).get("columns"),
        )
        about = _about(checkpoint, score).model_copy(update={"score_id": str(score.id)})
        return Member(found, about, logits.stored, {})


def curve_of(members: Sequence[Member]) -> list[int]:
    """The epochs of which every member kept a checkpoint. Raises ProblemError 422 if there are none."""
    for place, member in enumerate(members):
        if not member.kept:
            raise invalid(
                "curve", f"members.{place} is not an evaluation: only evaluations keep a checkpoint per epoch"
            )
    epochs = sorted(set.intersection(*(set(member.kept) for member in members)))
    if not epochs:
        raise invalid("curve", "there is no epoch of which all members kept a checkpoint: train with checkpoint_every")
    if len(epochs) * len(members) > _MOST_FILES:
        raise invalid("curve", f"{len(epochs)} epochs of {len(members)} members are more than {_MOST_FILES} files")
    return epochs


def files_of(members: Sequence[Member], curve: Sequence[int]) -> dict[str, Stored]:
    """The job's input files, by their names in darts_core.configs.ensemble. A member's file is given only once."""
    files: dict[str, Stored] = {}
    for place, member in enumerate(members):
        files[file_of(place)] = member.found.stored
        if member.logits is not None:
            files[logits_of(place)] = member.logits
        for epoch in curve:
            if member.kept[epoch].sha256 != member.found.stored.sha256:
                files[file_of(place, epoch)] = member.kept[epoch].stored
    return files


def _about(checkpoint: ScoredCheckpoint, job: Job | None, epoch: int | None = None) -> EnsembleMember:
    return EnsembleMember(
        **checkpoint.model_dump(),
        name=None if job is None else job.name,
        job_id=None if job is None else str(job.id),
        epoch=epoch,
    )
