"""Finds the state of another job that a training starts from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from api.artifacts import Stored
from api.datasets.service import DatasetService
from api.db.models import Job
from api.http.problems import ProblemError
from api.jobs.queries import Reader
from api.kinds.kind import References, Resolved
from api.schemas.jobs import JobKind
from darts_core.configs.common import RunConfig
from darts_core.configs.init_from import ALPHAS, SOURCE, InitFrom, start_problems
from darts_core.data.catalogue import BUILT_IN
from darts_core.errors import ConfigError, Problem
from darts_core.families import family_in

TRAININGS = (JobKind.SEARCH, JobKind.EVALUATION)


async def started(spec: RunConfig, references: References, source: UUID | None = None) -> Resolved:
    """The request with the state that its resolved spec's `init_from` names, and with that state's epoch and checksum.

    source: the job that it builds on besides; by default that of `init_from`, if it is a search. Raises ProblemError
    404 for an unknown job, 409 for one that has no such state yet, ConfigError if it does not fit, is not kept, or has
    another checksum than the spec's.
    """
    start = spec.init_from
    if start is None:
        return Resolved(spec, source=source)
    job = await references.reading.job(start.job)
    await _check(spec, job, references.datasets)
    epoch, name, given = await _state(start, job, references.reading)
    checksum = hashlib.sha256(given).hexdigest() if isinstance(given, bytes) else given.sha256
    if start.checksum not in (None, checksum):
        message = f"the state of epoch {epoch} is now {checksum}: leave it out to use that"
        raise ConfigError([Problem(("init_from", "checksum"), message)])
    found = start.model_copy(update={"epoch": epoch, "checksum": checksum})
    if source is None and job.kind == JobKind.SEARCH:
        source = job.id
    return Resolved(spec.model_copy(update={"init_from": found}), source=source, files={name: given})


async def _check(spec: RunConfig, job: Job, datasets: DatasetService) -> None:
    if job.kind not in TRAININGS:
        raise ConfigError([Problem(("init_from", "job"), f"is of kind {job.kind}: give a search or an evaluation")])
    values = spec.model_dump(mode="json")
    config: RunConfig = family_in(job.spec).config(job.kind, job.spec).model_validate(job.spec)
    problems = start_problems(values, job.kind, config.model_dump(mode="json"))
    if not problems and "genotype" not in values and values["init_from"]["what"] != "alphas":
        problems = await _image_problems(values, job.spec, datasets)
    if problems:
        raise ConfigError(problems)


async def _image_problems(spec: dict[str, Any], source: dict[str, Any], datasets: DatasetService) -> list[Problem]:
    """A supernet's weights fit images of as many channels and classes; only a worker knows those of a folder."""
    if family_in(spec).data != "images":
        return []
    infos = [BUILT_IN.get(each["dataset"]) or await datasets.info_of_spec(each) for each in (spec, source)]
    ours, theirs = (info and f"{info.classes} classes and {info.channels} channels" for info in infos)
    if ours == theirs or None in (ours, theirs):
        return []
    message = f"has {ours}, that of init_from's job {theirs}: of another set only the alphas fit (`what`: alphas)"
    return [Problem(("dataset",), message)]


async def _state(start: InitFrom, job: Job, reading: Reader) -> tuple[int, str, Stored | bytes]:
    """Epoch, name and content of the input file."""
    if start.what == "alphas":
        last = await reading.epoch(job, None)
        if start.epoch is not None and start.epoch > last.epoch:
            message = f"{start.epoch} has not ended: the search has alphas of epochs 1 to {last.epoch}"
            raise ConfigError([Problem(("init_from", "epoch"), message)])
        epoch = await reading.epoch(job, start.epoch)
        assert epoch.alphas is not None
        return epoch.epoch, ALPHAS, _text(epoch.alphas)
    which = "best" if job.kind == JobKind.EVALUATION else "last"
    try:
        checkpoint = await reading.checkpoint(job, which if start.epoch is None else str(start.epoch))
    except ProblemError as error:
        if error.status != 404:
            raise
        way_out = "; alphas there are of every epoch" if job.kind == JobKind.SEARCH else ""
        raise ConfigError([Problem(("init_from", "epoch"), f"{error.detail}{way_out}")]) from error
    return checkpoint.epoch, SOURCE, checkpoint.stored


def _text(alphas: Mapping[str, Any]) -> bytes:
    """The same bytes for the same alphas."""
    return json.dumps(alphas, sort_keys=True).encode()
