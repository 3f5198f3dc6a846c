"""Client for the service: every user-facing endpoint as a method.

with Dartboard("http://127.0.0.1:8000") as dartboard:
    search = dartboard.submit("search", {"dataset": "digits", "epochs": 3})
    for event in dartboard.follow(search):
        print(event.kind, event.data)
    print(dartboard.genotype(search.id).text)
"""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar, cast
from urllib.parse import quote
from uuid import UUID

import httpx
from pydantic import BaseModel, TypeAdapter

from api.schemas.advice import AdviceOut
from api.schemas.budgets import BudgetList, BudgetOut
from api.schemas.checkpoints import UploadList, UploadOut
from api.schemas.compare import Comparison, TableName
from api.schemas.datasets import DatasetDetail, DatasetList, DatasetOut, DatasetState
from api.schemas.genotypes import AnyGenotypeOut, GenotypeList
from api.schemas.jobs import (
    AttemptList,
    AttemptOut,
    CheckpointList,
    CheckpointOut,
    EpochList,
    EpochOut,
    JobKind,
    JobList,
    JobOut,
    LogLine,
    LogList,
)
from api.schemas.keys import KeyCreated, KeyLimits, KeyList, KeyOut, Role
from api.schemas.lineage import LineageOut
from api.schemas.methods import MethodList, MethodOut
from api.schemas.models import ModelDetail, ModelList, ModelOut, ModelVersionOut
from api.schemas.operation import Version, WorkerList, WorkerOut
from api.schemas.queue import QueueOut
from api.schemas.retention import Cleared, RetentionList, RetentionOut, RetentionPreview
from api.schemas.schedules import RunList, RunOut, ScheduleList, ScheduleOut
from api.schemas.searches import AnyAlphasOut
from api.schemas.spaces import SpaceList, SpaceOut
from api.schemas.storage import StorageOut
from api.schemas.usage import ShareList, UsageKey, UsageOut
from api.schemas.webhooks import BodyForm, DeliveryList, DeliveryOut, WebhookCreated, WebhookList, WebhookOut
from client.connection import Connection
from client.download import download, job_with_file
from client.errors import DartboardError, ProblemError
from client.event_stream import follow
from client.events import Event
from client.upload import Upload
from darts_core.configs import AnyConfig
from darts_core.families import family_in
from darts_core.primitives import Family
from darts_core.runtime.backoff import Backoff

# A string may be the beginning of an id.
Id = UUID | str
StrPath = str | PathLike[str]
Page = TypeVar("Page", JobList, UploadList, KeyList, DeliveryList, RunList)
# For a name in place of an id.
_NAMES_READ: Final = 1_000
_IDS_SHOWN: Final = 5
_ID_PREFIX: Final = re.compile(r"[0-9A-Fa-f][0-9A-Fa-f-]{0,35}")
_GENOTYPE: Final[TypeAdapter[AnyGenotypeOut]] = TypeAdapter(AnyGenotypeOut)
_ALPHAS: Final[TypeAdapter[AnyAlphasOut]] = TypeAdapter(AnyAlphasOut)


class Dartboard:
    """A client of a Dartboard service. Every method may raise ServiceUnreachableError and ProblemError."""

    def __init__(self, url: str | None = None, key: str | None = None, *, timeout: float = 30.0) -> None:
        """url, key: default to DARTBOARD_URL and DARTBOARD_API_KEY, then to a service on this machine. timeout: in
        seconds, for each answer.
        """
        url = url or os.environ.get("DARTBOARD_URL") or "http://127.0.0.1:8000"
        self._connection = Connection(url, key or os.environ.get("DARTBOARD_API_KEY"), timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @property
    def url(self) -> str:
        """The service's URL, without a trailing slash."""
        return self._connection.url

    def submit(
        self, kind: JobKind | str, body: dict[str, Any] | BaseModel, *, idempotency_key: str | None = None
    ) -> JobOut:
        """Queue a job from its fields or a typed spec (`SearchConfig`, ...), of which only explicitly set fields are
        sent.

        Repeating a call with the same idempotency key returns the same job.
        """
        if isinstance(body, BaseModel):
            body = body.model_dump(mode="json", exclude_unset=True)
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._connection.read(JobOut, "POST", f"/{_kind(kind).collection}", json=body, headers=headers)

    def job(self, job_id: Id) -> JobOut:
        """A job of any kind, by its id or the beginning of it."""
        return self._connection.read(JobOut, "GET", f"/jobs/{self.full_id(job_id)}")

    def full_id(self, beginning: Id, of: Literal["jobs", "checkpoints", "keys"] = "jobs") -> UUID:
        """Complete the beginning of an id; a complete id is not looked up.

        Raises ProblemError 404 for no match, 409 for several, 422 for a text that cannot begin an id.
        """
        text = str(beginning)
        try:
            return UUID(text)
        except ValueError:
            if not _ID_PREFIX.fullmatch(text):
                hint = self.ids_of_name(text) if of == "jobs" else ""
                raise ProblemError(422, hint or f"{text[:80]!r} is not an id, nor the beginning of one") from None
        found = self._connection.read(_IdList, "GET", f"/{of}", params={"id_prefix": text, "limit": 3}).items
        # An older service ignores the parameter and lists any jobs.
        ids = [row.id for row in found if row.id.hex.startswith(text.replace("-", "").lower())]
        if not ids:
            hint = self.ids_of_name(text) if of == "jobs" else ""
            raise ProblemError(404, hint or f"none of the {of} has an id that begins with {text}")
        if len(ids) > 1:
            raise ProblemError(
                409, f"several ids begin with {text}, {', '.join(map(str, ids))} for instance: give more"
            )
        return ids[0]

    def ids_of_name(self, name: str) -> str:
        """A message with the ids of the jobs of a name, for a call that takes ids; empty when no recent job has it."""
        try:
            found = (str(job.id) for job in islice(self.jobs(), _NAMES_READ) if job.name == name)
            ids = list(islice(found, _IDS_SHOWN))
        except DartboardError:
            return ""
        if len(ids) > 1:
            return f"{name!r} is the name of several jobs, not an id: their ids are {', '.join(ids)}"
        return f"{name!r} is a job's name, not an id: its id is {ids[0]}" if ids else ""

    def jobs(self, **filters: Any) -> Iterator[JobOut]:
        """All jobs, newest first or as `sort="-test_accuracy"` says.

        filters: kind, status, label, owner, parent, and words to search for as `q`.
        """
        for page in self._pages("/jobs", JobList, **filters):
            yield from page.items

    def children(self, tree_id: Id) -> list[JobOut]:
        """The children of a study or a committee so far, in order of creation."""
        return self._connection.read(JobList, "GET", f"{self._path(tree_id)}/children").items

    def spec(self, job: JobOut) -> AnyConfig:
        """The typed spec of a search or an evaluation. Raises ValueError for another kind of job."""
        if job.kind not in ("search", "evaluation"):
            raise ValueError(f"{job.kind}: searches and evaluations have typed specs, others are in JobOut.spec")
        return cast(AnyConfig, family_in(job.spec).config(job.kind, job.spec).model_validate(job.spec))

    def cancel(self, job_id: Id) -> JobOut:
        """Cancel a job at once."""
        return self._act(job_id, "cancel")

    def pause(self, job_id: Id) -> JobOut:
        """Pause a job after the current epoch."""
        return self._act(job_id, "pause")

    def resume(self, job_id: Id) -> JobOut:
        """Resume a paused job."""
        return self._act(job_id, "resume")

    def retry(self, job_id: Id) -> JobOut:
        """Retry a failed or cancelled job from its last checkpoint."""
        return self._act(job_id, "retry")

    def extend(self, job_id: Id, epochs: int) -> JobOut:
        """Give an ended or paused search or evaluation more epochs: so many in all. It goes on from its last epoch."""
        return self._connection.read(JobOut, "POST", f"{self._path(job_id)}/extend", json={"epochs": epochs})

    def update(self, job_id: Id, **changes: Any) -> JobOut:
        """Change a job's name, labels, notes, priority, preemptible, pinned, max_runtime or times."""
        return self._connection.read(JobOut, "PATCH", self._path(job_id), json=changes)

    def delete(self, job_id: Id) -> None:
        """Delete an ended job."""
        self._connection.send("DELETE", self._path(job_id))

    def epochs(self, job_id: Id, after: int = 0) -> list[EpochOut]:
        """Finished epochs above `after`, in order."""
        found: list[EpochOut] = []
        path = self._path(job_id)
        while True:
            page = self._connection.read(EpochList, "GET", f"{path}/epochs", params={"after": after}).items
            found += page
            if not page:
                return found
            after = page[-1].epoch

    def attempts(self, job_id: Id) -> list[AttemptOut]:
        """The job's attempts with their workers, latest first."""
        return self._connection.read(AttemptList, "GET", f"{self._path(job_id)}/attempts").items

    def checkpoints(self, job_id: Id) -> list[CheckpointOut]:
        """The stored checkpoints of a search or an evaluation, latest epoch first."""
        return self._connection.read(CheckpointList, "GET", f"{self._path(job_id)}/checkpoints").items

    def logs(self, job_id: Id, tail: int = 200) -> list[LogLine]:
        """The last log lines of the job's workers."""
        return self._connection.read(LogList, "GET", f"{self._path(job_id)}/logs", params={"tail": tail}).items

    def follow(self, job: JobOut | Id, after: int = 0) -> Iterator[Event]:
        """The job's events after sequence `after`, each once, until the job has ended; reconnects automatically."""
        path = job.links["self"] if isinstance(job, JobOut) else self._path(job)
        return follow(self._connection, f"{path}/events", after)

    def wait(self, job: JobOut | Id) -> JobOut:
        """Block until the job has ended."""
        for _ in self.follow(job):
            pass
        return self.job(job.id if isinstance(job, JobOut) else job)

    def methods(self) -> list[MethodOut]:
        """The search methods, with their fields and limits."""
        return self._connection.read(MethodList, "GET", "/methods").items

    def advise(self, dataset: str, *, hours: float, gpus: int = 1, pool: str = "default") -> AdviceOut:
        """A method for a set of images and a budget, with the ledger's rows that speak for it and its cost here.

        hours: of wall time. gpus: workers of the pool with one GPU each, for trainings side by side.
        """
        params = {"dataset": dataset, "gpus": gpus, "hours": hours, "pool": pool}
        return self._connection.read(AdviceOut, "GET", "/advice", params=params)

    def usage(
        self, *by: UsageKey, since: datetime | str | None = None, until: datetime | str | None = None
    ) -> UsageOut:
        """What jobs took of the workers, deleted jobs included, divided by these keys, by default by owner.

        since: by default 30 days before `until`. until: by default now. Both in UTC if they name no time zone.
        """
        ends = {name: str(end) for name, end in (("since", since), ("until", until)) if end is not None}
        return self._connection.read(UsageOut, "GET", "/usage", params={"by": by, **ends})

    def spaces(self) -> list[SpaceOut]:
        """The search spaces, with their operations and sizes."""
        return self._connection.read(SpaceList, "GET", "/spaces").items

    def genotype(
        self,
        search_id: Id,
        epoch: int | str | None = None,
        *,
        rank: int | None = None,
        max_skip_connects: int | None = None,
    ) -> AnyGenotypeOut:
        """A search's current cell; `str()` of the result is its Python text.

        epoch: `best`, `last` (default) or a number. rank: take the n-th strongest genotype.
        max_skip_connects: limit for the normal cell.
        """
        given = {"epoch": epoch, "rank": rank, "max_skip_connects": max_skip_connects}
        params = {name: value for name, value in given.items() if value is not None}
        return self._connection.read_as(
            _GENOTYPE, "GET", f"/searches/{self.full_id(search_id)}/genotype", params=params
        )

    def genotypes(self) -> list[str]:
        """Names of published and registered genotypes."""
        return self._connection.read(GenotypeList, "GET", "/genotypes").items

    def known_genotype(self, name: str, family: Family | None = None) -> AnyGenotypeOut:
        """A published or registered genotype. family: for a name shared by both families; cnn by default."""
        params = {} if family is None else {"family": family}
        return self._connection.read_as(_GENOTYPE, "GET", f"/genotypes/{_plain(name)}", params=params)

    def register_genotype(self, name: str, genotype: str | dict[str, Any]) -> AnyGenotypeOut:
        """Register a genotype (either family, any format) under a name that evaluations accept."""
        body = {"name": name, "genotype": genotype}
        return self._connection.read_as(_GENOTYPE, "POST", "/genotypes", json=body)

    def delete_genotype(self, name: str) -> None:
        """Delete a registered genotype."""
        self._connection.send("DELETE", f"/genotypes/{_plain(name)}")

    def compare(self, job_ids: Sequence[Id]) -> Comparison:
        """Compare two to twenty jobs."""
        params = {"ids": [self.full_id(job_id) for job_id in job_ids]}
        return self._connection.read(Comparison, "GET", "/compare", params=params)

    def comparison_text(
        self, job_ids: Sequence[Id], format_: Literal["csv", "markdown"], table: TableName = "figures"
    ) -> str:
        """A comparison as text. table: which one, for CSV; Markdown contains all."""
        params = {"ids": [self.full_id(job_id) for job_id in job_ids], "format": format_, "table": table}
        return self._get("/compare", params=params).text

    def alphas(self, search_id: Id, epoch: int | None = None) -> AnyAlphasOut:
        """A search's alphas after an epoch, and its operation strengths as `weights`."""
        params = {} if epoch is None else {"epoch": epoch}
        return self._connection.read_as(_ALPHAS, "GET", f"/searches/{self.full_id(search_id)}/alphas", params=params)

    def checkpoint_path(self, evaluation_id: Id, epoch: str = "best") -> str:
        """URL path of an evaluation's checkpoint, for curl."""
        suffix = "" if epoch == "best" else f"?epoch={epoch}"
        return f"/evaluations/{self.full_id(evaluation_id)}/checkpoint{suffix}"

    def job_or_checkpoint(self, any_id: Id) -> JobOut | UUID:
        """The job with this id; otherwise the id of an uploaded checkpoint, completed. Raises ProblemError 404."""
        try:
            return self.job(any_id)
        except ProblemError as error:
            if error.status != 404:
                raise
            return self.full_id(any_id, "checkpoints")

    def download(self, any_id: Id, to: StrPath, epoch: str | None = None, format_: str = "torch") -> Path:
        """Save the file of the given id as `download_checkpoint` does.

        A search, an evaluation or an ensemble gives its checkpoint, a score its logits, a committee its ensemble's
        file; otherwise the id is a checkpoint's. Raises ProblemError 404 for an id without a file.
        """
        job = self.job_or_checkpoint(any_id)
        if isinstance(job, UUID):
            wanted = {"format": format_} if format_ != "torch" else {}
            return download(self._connection, str(httpx.URL(f"/checkpoints/{job}", params=wanted)), Path(to))
        if job.kind == JobKind.SCORE:
            return self.download_logits(job.id, to)
        if job.is_composite:
            job = job_with_file(job, self.children(job.id))
        return self.download_checkpoint(job.id, to, epoch, format_)

    def download_checkpoint(self, job_id: Id, to: StrPath, epoch: str | None = None, format_: str = "torch") -> Path:
        """Save the checkpoint of a search or an evaluation, an ensemble's file, or a score's checkpoint to a folder
        (under the service's name for it) or a file.

        epoch: "best", "last" or a number; by default an evaluation's best, a search's last. format_: "safetensors" for
        the weights alone, "pytorch" for a module that needs only torch and reads these beside it. Resumes a partial
        download and verifies the checksum. Raises DownloadError.
        """
        wanted = {} if epoch is None else {"epoch": epoch}
        if format_ != "torch":
            wanted["format"] = format_
        return download(self._connection, str(httpx.URL(f"{self._path(job_id)}/checkpoint", params=wanted)), Path(to))

    def download_logits(self, job_id: Id, to: StrPath) -> Path:
        """Save a score's or an ensemble's logits (safetensors) as `download_checkpoint` does."""
        return download(self._connection, f"{self._path(job_id)}/logits", Path(to))

    def upload_checkpoint(
        self,
        path: StrPath,
        genotype: str | None = None,
        dataset: str | None = None,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> UploadOut:
        """Upload a checkpoint: one of ours, or a state_dict of the DARTS authors with its genotype.

        dataset: the training data of a state_dict; for language models, the text that defines the vocabulary. mean,
        std: of its images, per channel on the scale 0..1; by default the data set's own, or the authors'.
        """
        told = {"genotype": genotype, "dataset": dataset, "mean": _by_commas(mean), "std": _by_commas(std)}
        fields = {key: value for key, value in told.items() if value is not None}
        path = Path(path)
        with path.open("rb") as file:
            return self._connection.read(
                UploadOut,
                "POST",
                "/checkpoints",
                data=fields,
                files={"file": (path.name, file, "application/octet-stream")},
                # The service reads the whole file again before it answers.
                timeout=600,
            )

    def uploaded_checkpoints(self) -> Iterator[UploadOut]:
        """All uploaded checkpoints, newest first."""
        for page in self._pages("/checkpoints", UploadList):
            yield from page.items

    def delete_checkpoint(self, checkpoint_id: Id) -> None:
        """Delete an uploaded checkpoint."""
        self._connection.send("DELETE", f"/checkpoints/{self.full_id(checkpoint_id, 'checkpoints')}")

    def version(self) -> str:
        """The version of the service."""
        return self._connection.read(Version, "GET", "/version").version

    def queue(self, *, pool: str = "default", gpus: int = 1, limit: int = 100) -> QueueOut:
        """The first queued jobs of a pool in the order in which workers take them, and the running ones."""
        params = {"pool": pool, "gpus": gpus, "limit": limit}
        return self._connection.read(QueueOut, "GET", "/queue", params=params)

    def workers(self) -> list[WorkerOut]:
        """All workers ever registered."""
        return self._connection.read(WorkerList, "GET", "/workers").items

    def datasets(self) -> list[DatasetOut]:
        """The built-in data sets, then the uploaded ones."""
        return self._connection.read(DatasetList, "GET", "/datasets").items

    def dataset(self, name: str) -> DatasetDetail:
        """One data set, with the report of its check."""
        return self._connection.read(DatasetDetail, "GET", f"/datasets/{_plain(name)}")

    def add_dataset(
        self,
        name: str,
        path: StrPath,
        *,
        size: int | None = None,
        idempotency_key: str | None = None,
        progress: Callable[[int], None] = lambda sent: None,
    ) -> DatasetDetail:
        """Upload an archive of class folders, or a folder of them, packed while it is sent.

        size: scale every image to this side length in pixels. progress: called with the bytes sent so far. The service
        then checks the set: see `wait_for_dataset`. Raises OSError for an unreadable file.
        """
        content = Upload(Path(path), {"name": name, "size": size}, progress)
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._connection.read(
            DatasetDetail,
            "POST",
            "/datasets",
            content=content,
            headers={**headers, "Content-Type": content.content_type},
            # The store syncs a large file to disk before the service answers.
            timeout=httpx.Timeout(120, connect=5),
        )

    def wait_for_dataset(self, name: str) -> DatasetDetail:
        """Block until the set has been checked."""
        backoff = Backoff(0.05, 2.0)
        while (dataset := self.dataset(name)).state == DatasetState.CHECKING:
            time.sleep(backoff.pause())
        return dataset

    def remove_dataset(self, name: str) -> None:
        """Delete an uploaded data set."""
        self._connection.send("DELETE", f"/datasets/{_plain(name)}")

    def shares(self) -> ShareList:
        """What each owner has had of the fleet lately, as the order of the queue counts it."""
        return self._connection.read(ShareList, "GET", "/usage/shares")

    def budgets(self) -> list[BudgetOut]:
        """All budgets, by owner, with what is used of them."""
        return self._connection.read(BudgetList, "GET", "/budgets").items

    def set_budget(self, owner: str, gpu_hours: float) -> BudgetOut:
        """Give an owner so many GPU-hours a month, as an admin."""
        body = {"gpu_hours": gpu_hours}
        return self._connection.read(BudgetOut, "PUT", f"/budgets/{quote(owner, safe='')}", json=body)

    def remove_budget(self, owner: str) -> None:
        """Remove an owner's budget, as an admin."""
        self._connection.send("DELETE", f"/budgets/{quote(owner, safe='')}")

    def retention(self) -> list[RetentionOut]:
        """All rules of retention, the admins' first."""
        return self._connection.read(RetentionList, "GET", "/retention").items

    def set_retention(
        self,
        *,
        days: int,
        last: int = 1,
        best: bool = True,
        every: int | None = None,
        owner: str | None = None,
        kind: JobKind | str | None = None,
        own: bool = False,
    ) -> RetentionOut:
        """Set which checkpoints ended jobs keep, or replace that rule.

        days: from a job's end. owner: by default the caller's jobs, for admins those of all owners. kind: by default
        all that train. own: for admins, the rule that the owner has set.
        """
        body = {"days": days, "last": last, "best": best, "every": every}
        params = _given(owner=owner, kind=kind, own=own)
        return self._connection.read(RetentionOut, "PUT", "/retention", params=params, json=body)

    def remove_retention(
        self, *, owner: str | None = None, kind: JobKind | str | None = None, own: bool = False
    ) -> None:
        """Remove a rule of retention."""
        self._connection.send("DELETE", "/retention", params=_given(owner=owner, kind=kind, own=own))

    def preview_retention(self, **tried: Any) -> RetentionPreview:
        """What would be cleared now. tried: a rule that is not set, as `set_retention` takes it; limit: of the jobs."""
        return self._connection.read(RetentionPreview, "GET", "/retention/preview", params=_given(**tried))

    def sweep_retention(self) -> Cleared:
        """Clear now what the rules of retention do not keep."""
        return self._connection.read(Cleared, "POST", "/retention/sweep")

    def pin(self, job_id: Id, epoch: int | None = None, *, pinned: bool = True) -> JobOut | CheckpointOut:
        """Keep a job's checkpoints from all rules of retention, or that of one epoch until the job is deleted.

        pinned: False undoes it. Raises ProblemError 404 for an epoch without a checkpoint.
        """
        if epoch is None:
            return self.update(job_id, pinned=pinned)
        found = [checkpoint.id for checkpoint in self.checkpoints(job_id) if checkpoint.epoch == epoch]
        if not found:
            raise ProblemError(404, f"no checkpoint of epoch {epoch} is kept")
        return self._connection.read(CheckpointOut, "PATCH", f"/checkpoints/{found[0]}", json={"pinned": pinned})

    def storage(self) -> StorageOut:
        """What files take of the disk by owner, and what can be deleted."""
        return self._connection.read(StorageOut, "GET", "/storage")

    def create_key(self, role: Role | str, owner: str, limits: KeyLimits | None = None) -> KeyCreated:
        """Create an API key, as an admin. Only this answer contains its text."""
        body = {"role": role, "owner": owner, "limits": (limits or KeyLimits()).model_dump(exclude_none=True)}
        return self._connection.read(KeyCreated, "POST", "/keys", json=body)

    def keys(self) -> Iterator[KeyOut]:
        """All API keys, newest first, including revoked ones."""
        for page in self._pages("/keys", KeyList):
            yield from page.items

    def revoke_key(self, key_id: Id) -> None:
        """Revoke an API key."""
        self._connection.send("DELETE", f"/keys/{self.full_id(key_id, 'keys')}")

    def lineage(self, start: Id) -> LineageOut:
        """What a job, a checkpoint or a data set (also by name) was made of, and what was made of it."""
        try:
            start = self.full_id(start)
        except ProblemError as error:
            if error.status == 409:
                raise
        return self._connection.read(LineageOut, "GET", f"/lineage/{quote(str(start), safe='')}")

    def models(self) -> list[ModelOut]:
        """All models by name, with the version of each stage."""
        return self._connection.read(ModelList, "GET", "/models").items

    def model(self, name: str) -> ModelDetail:
        """A model with its versions, newest first."""
        return self._connection.read(ModelDetail, "GET", f"/models/{_plain(name)}")

    def model_version(self, name: str, which: int | str = "latest") -> ModelVersionOut:
        """A version by its number or its stage, or the `latest`."""
        return self._connection.read(ModelVersionOut, "GET", _version_path(name, which))

    def add_model(
        self,
        name: str,
        any_id: Id,
        *,
        epoch: int | str | None = None,
        stage: str | None = None,
        note: str | None = None,
    ) -> ModelVersionOut:
        """Make a checkpoint the next version of a model: an evaluation's best, a search's last, or one by its own id.

        epoch: "best", "last" or a number. stage: a label, which leaves the version that had it.
        """
        found = self.job_or_checkpoint(any_id)
        source = {"checkpoint_id": found} if isinstance(found, UUID) else {f"{found.kind}_id": found.id}
        about = {"epoch": None if epoch is None else str(epoch), "stage": stage, "note": note}
        return self._connection.read(ModelVersionOut, "POST", "/models", json={"name": name, **source, **about})

    def predict(
        self,
        name: str,
        *,
        image: StrPath | None = None,
        text: str | None = None,
        version: int | str = "latest",
        **options: Any,
    ) -> JobOut:
        """Try a model on an image file or a text: a job, whose `result` has classes or next words once it has ended.

        options: `top`, `words`, and the fields of every job.
        """
        given = {"text": text} if image is None else {"image": base64.b64encode(Path(image).read_bytes()).decode()}
        return self.submit("prediction", {"model": name, "version": str(version), **given, **options})

    def update_model(self, name: str, which: int | str, **changes: str | None) -> ModelVersionOut:
        """Change a version's stage or note; None takes them away."""
        return self._connection.read(ModelVersionOut, "PATCH", _version_path(name, which), json=changes)

    def remove_model(self, name: str, which: int | str | None = None) -> None:
        """Delete a version, or the model with all versions; checkpoints stay."""
        path = f"/models/{_plain(name)}" if which is None else _version_path(name, which)
        self._connection.send("DELETE", path)

    def schedules(self) -> list[ScheduleOut]:
        """All schedules, newest first."""
        return self._connection.read(ScheduleList, "GET", "/schedules").items

    def schedule(self, schedule_id: Id) -> ScheduleOut:
        """One schedule, with its next time and the error of its last one."""
        return self._connection.read(ScheduleOut, "GET", _schedule_path(schedule_id))

    def add_schedule(
        self, kind: str, request: Mapping[str, Any], *, cron: str, time_zone: str = "UTC", **options: Any
    ) -> ScheduleOut:
        """Submit a job at each time of a cron expression. request: as of `submit`.

        options: `name`, `overlap` ("skip" or "queue"), `until` and `runs`.
        """
        asked = {"kind": kind, "request": dict(request), "cron": cron, "time_zone": time_zone, **options}
        return self._connection.read(ScheduleOut, "POST", "/schedules", json=asked)

    def update_schedule(self, schedule_id: Id, **changes: Any) -> ScheduleOut:
        """Change `paused`, or any field but the kind."""
        return self._connection.read(ScheduleOut, "PATCH", _schedule_path(schedule_id), json=changes)

    def remove_schedule(self, schedule_id: Id) -> None:
        """Delete a schedule; its jobs stay."""
        self._connection.send("DELETE", _schedule_path(schedule_id))

    def schedule_runs(self, schedule_id: Id) -> Iterator[RunOut]:
        """The jobs that a schedule has submitted, and the times that it left out, newest first."""
        for page in self._pages(f"{_schedule_path(schedule_id)}/runs", RunList):
            yield from page.items

    def webhooks(self) -> list[WebhookOut]:
        """Your webhooks, newest first; everybody's for an admin."""
        return self._connection.read(WebhookList, "GET", "/webhooks").items

    def add_webhook(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        job: Id | None = None,
        name: str | None = None,
        body: BodyForm = "standard",
    ) -> WebhookCreated:
        """Post events of your jobs, or of one, to a URL. Only this answer contains the secret of the signatures."""
        job_id = None if job is None else str(self.full_id(job))
        asked = {"url": url, "events": events, "job": job_id, "name": name, "body": body}
        return self._connection.read(WebhookCreated, "POST", "/webhooks", json=asked)

    def ping_webhook(self, webhook_id: Id) -> DeliveryOut:
        """Send a message that tells of nothing."""
        return self._connection.read(DeliveryOut, "POST", f"/webhooks/{_uuid(webhook_id)}/ping")

    def deliveries(self, webhook_id: Id) -> Iterator[DeliveryOut]:
        """What was sent to a webhook and what is waiting, newest first."""
        for page in self._pages(f"/webhooks/{_uuid(webhook_id)}/deliveries", DeliveryList):
            yield from page.items

    def retry_delivery(self, webhook_id: Id, delivery_id: Id) -> DeliveryOut:
        """Send a message again."""
        path = f"/webhooks/{_uuid(webhook_id)}/deliveries/{_uuid(delivery_id)}/retry"
        return self._connection.read(DeliveryOut, "POST", path)

    def remove_webhook(self, webhook_id: Id) -> None:
        """Delete a webhook with its deliveries."""
        self._connection.send("DELETE", f"/webhooks/{_uuid(webhook_id)}")

    def _act(self, job_id: Id, verb: str) -> JobOut:
        return self._connection.read(JobOut, "POST", f"{self._path(job_id)}/{verb}")

    def _path(self, job_id: Id) -> str:
        return self.job(job_id).links["self"]

    def _pages(self, path: str, kind: type[Page], /, **filters: Any) -> Iterator[Page]:
        """Every page of a list."""
        cursor: str | None = None
        while True:
            params = {k: v for k, v in {"limit": 100, **filters, "cursor": cursor}.items() if v is not None}
            page = self._connection.read(kind, "GET", path, params=params)
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    def _get(self, path: str, **what: Any) -> httpx.Response:
        return self._connection.send("GET", path, **what)


def _by_commas(numbers: Sequence[float] | None) -> str | None:
    return None if numbers is None else ",".join(map(repr, numbers))


class _WithId(BaseModel):
    id: UUID


class _IdList(BaseModel):
    items: list[_WithId]


def _given(**params: Any) -> dict[str, Any]:
    """The parameters that are not None."""
    return {name: value for name, value in params.items() if value is not None}


def _kind(name: str) -> JobKind:
    try:
        return JobKind(name)
    except ValueError:
        raise ProblemError(422, f"{name!r} is not a kind of job: {', '.join(JobKind.all())}") from None


def _uuid(given: Id) -> UUID:
    try:
        return UUID(str(given))
    except ValueError:
        raise ProblemError(422, f"{str(given)[:120]!r} is not a whole id") from None


def _schedule_path(schedule_id: Id) -> str:
    return f"/schedules/{_uuid(schedule_id)}"


def _version_path(name: str, which: int | str) -> str:
    return f"/models/{_plain(name)}/{_plain(str(which))}"


def _plain(name: str) -> str:
    """Check the name of a data set, genotype or model for use in a path."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ProblemError(
            422, f"{name[:120]!r} is not a name: `dartboard datasets`, `genotypes` and `models` list them"
        )
    return name
