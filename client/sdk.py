"""The SDK: everything the service offers to its users, as methods.

with Dartboard("http://127.0.0.1:8000") as dartboard:
    search = dartboard.submit("search", {"dataset": "digits", "epochs": 3})
    for event in dartboard.follow(search):
        print(event.kind, event.data)
    print(dartboard.genotype(search.id).text)
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, TypeAdapter

from api.schemas.checkpoints import UploadList, UploadOut
from api.schemas.compare import Comparison, TableName
from api.schemas.datasets import DatasetDetail, DatasetList, DatasetOut, DatasetState
from api.schemas.genotypes import AnyGenotypeOut, GenotypeList
from api.schemas.jobs import EpochList, EpochOut, JobKind, JobList, JobOut, LogLine, LogList
from api.schemas.keys import KeyCreated, KeyLimits, KeyList, KeyOut, Role
from api.schemas.operation import WorkerList, WorkerOut
from api.schemas.searches import AnyAlphasOut
from client.connection import Connection
from client.download import download, with_a_file
from client.errors import ProblemError
from client.event_stream import follow
from client.events import Event
from client.upload import Upload
from darts_core.configs import AnyConfig, config_class
from darts_core.primitives import Family
from darts_core.runtime.backoff import Backoff

# A string may be the beginning of an id.
Id = UUID | str
StrPath = str | PathLike[str]
Page = TypeVar("Page", JobList, UploadList, KeyList)
_ID_PREFIX: Final = re.compile(r"[0-9A-Fa-f][0-9A-Fa-f-]{0,35}")
_GENOTYPE: Final[TypeAdapter[AnyGenotypeOut]] = TypeAdapter(AnyGenotypeOut)
_ALPHAS: Final[TypeAdapter[AnyAlphasOut]] = TypeAdapter(AnyAlphasOut)


class Dartboard:
    """A connection to a service. Every method may raise ServiceUnreachableError and ProblemError."""

    def __init__(self, url: str | None = None, key: str | None = None, *, timeout: float = 30.0) -> None:
        """url, key: DARTBOARD_URL and DARTBOARD_API_KEY of the environment unless given; without either a service on
        this machine. timeout: seconds that an answer may take.
        """
        url = url or os.environ.get("DARTBOARD_URL") or "http://127.0.0.1:8000"
        self._connection = Connection(url, key or os.environ.get("DARTBOARD_API_KEY"), timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections."""
        self._connection.close()

    @property
    def url(self) -> str:
        """Where the service is, without a slash at the end."""
        return self._connection.url

    def submit(
        self, kind: JobKind | str, body: dict[str, Any] | BaseModel, *, idempotency_key: str | None = None
    ) -> JobOut:
        """Queue a job by its fields or by a typed spec (`SearchConfig`, ...), of which only what is set is sent.

        With the same idempotency key the same job comes back, however often it is sent.
        """
        if isinstance(body, BaseModel):
            body = body.model_dump(mode="json", exclude_unset=True)
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._connection.read(JobOut, "POST", f"/{_kind(kind).collection}", json=body, headers=headers)

    def job(self, job_id: Id) -> JobOut:
        """A job of any kind, by its id or the beginning of it."""
        return self._connection.read(JobOut, "GET", f"/jobs/{self.full_id(job_id)}")

    def full_id(self, beginning: Id, of: Literal["jobs", "checkpoints", "keys"] = "jobs") -> UUID:
        """The one id that begins so; an id that is whole is not looked up.

        Raises ProblemError 404 for none, 409 for several, 422 for what cannot begin an id.
        """
        text = str(beginning)
        try:
            return UUID(text)
        except ValueError:
            if not _ID_PREFIX.fullmatch(text):
                raise ProblemError(422, f"{text[:80]!r} is not an id, nor the beginning of one") from None
        found = self._connection.read(_IdList, "GET", f"/{of}", params={"id_prefix": text, "limit": 3}).items
        # A service that does not know the parameter would list any.
        ids = [row.id for row in found if row.id.hex.startswith(text.replace("-", "").lower())]
        if not ids:
            raise ProblemError(404, f"none of the {of} has an id that begins with {text}")
        if len(ids) > 1:
            raise ProblemError(
                409, f"several ids begin with {text}, {', '.join(map(str, ids))} for instance: give more"
            )
        return ids[0]

    def jobs(self, **filters: Any) -> Iterator[JobOut]:
        """All jobs, newest first; filters: kind, status, label, parent."""
        for page in self._pages("/jobs", JobList, **filters):
            yield from page.items

    def children(self, tree_id: Id) -> list[JobOut]:
        """What a study or a committee is made of so far, in the order in which it was made."""
        return self._connection.read(JobList, "GET", f"{self._path(tree_id)}/children").items

    def spec(self, job: JobOut) -> AnyConfig:
        """A search's or an evaluation's spec, typed. Raises ValueError for another kind of job."""
        if job.kind not in (JobKind.SEARCH, JobKind.EVALUATION):
            raise ValueError(f"{job.kind}: searches and evaluations have typed specs, others are in JobOut.spec")
        kind: Literal["search", "evaluation"] = "search" if job.kind is JobKind.SEARCH else "evaluation"
        return config_class(kind, job.spec).model_validate(job.spec)

    def cancel(self, job_id: Id) -> JobOut:
        """End a job now."""
        return self._act(job_id, "cancel")

    def pause(self, job_id: Id) -> JobOut:
        """Stop a job after the epoch in work."""
        return self._act(job_id, "pause")

    def resume(self, job_id: Id) -> JobOut:
        """Let a paused job go on."""
        return self._act(job_id, "resume")

    def retry(self, job_id: Id) -> JobOut:
        """Let a failed or cancelled job go on."""
        return self._act(job_id, "retry")

    def update(self, job_id: Id, **changes: Any) -> JobOut:
        """Change a job's name, labels, priority or max_runtime."""
        return self._connection.read(JobOut, "PATCH", self._path(job_id), json=changes)

    def delete(self, job_id: Id) -> None:
        """Forget an ended job."""
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

    def logs(self, job_id: Id, tail: int = 200) -> list[LogLine]:
        """The last lines that the job's workers logged."""
        return self._connection.read(LogList, "GET", f"{self._path(job_id)}/logs", params={"tail": tail}).items

    def follow(self, job: JobOut | Id, after: int = 0) -> Iterator[Event]:
        """The job's events from sequence `after` on, each once, until it has ended; reconnects by itself."""
        path = job.links["self"] if isinstance(job, JobOut) else self._path(job)
        return follow(self._connection, f"{path}/events", after)

    def wait(self, job: JobOut | Id) -> JobOut:
        """Block until the job has ended."""
        for _ in self.follow(job):
            pass
        return self.job(job.id if isinstance(job, JobOut) else job)

    def genotype(
        self,
        search_id: Id,
        epoch: int | str | None = None,
        *,
        rank: int | None = None,
        max_skip_connects: int | None = None,
    ) -> AnyGenotypeOut:
        """The cell that a search stands at; `str()` of it is its Python text.

        epoch: `best`, `last` or a number; the last unless given. rank: the n-th strongest genotype of the alphas.
        max_skip_connects: that its normal cell may have at most.
        """
        given = {"epoch": epoch, "rank": rank, "max_skip_connects": max_skip_connects}
        params = {name: value for name, value in given.items() if value is not None}
        return self._connection.read_as(
            _GENOTYPE, "GET", f"/searches/{self.full_id(search_id)}/genotype", params=params
        )

    def genotypes(self) -> list[str]:
        """The names of published and registered genotypes."""
        return self._connection.read(GenotypeList, "GET", "/genotypes").items

    def known_genotype(self, name: str, family: Family | None = None) -> AnyGenotypeOut:
        """A published or registered genotype. family: of a name that stands for a cell of each; cnn unless given."""
        params = {} if family is None else {"family": family}
        return self._connection.read_as(_GENOTYPE, "GET", f"/genotypes/{_plain(name)}", params=params)

    def register_genotype(self, name: str, genotype: str | dict[str, Any]) -> AnyGenotypeOut:
        """Give a genotype (of either family, in any format) a name that evaluations take."""
        body = {"name": name, "genotype": genotype}
        return self._connection.read_as(_GENOTYPE, "POST", "/genotypes", json=body)

    def delete_genotype(self, name: str) -> None:
        """Forget a registered name."""
        self._connection.send("DELETE", f"/genotypes/{_plain(name)}")

    def compare(self, job_ids: Sequence[Id]) -> Comparison:
        """Two to twenty jobs beside each other."""
        params = {"ids": [self.full_id(job_id) for job_id in job_ids]}
        return self._connection.read(Comparison, "GET", "/compare", params=params)

    def comparison_text(
        self, job_ids: Sequence[Id], format_: Literal["csv", "markdown"], table: TableName = "figures"
    ) -> str:
        """The same as text. table: which one, of CSV; Markdown has them all."""
        params = {"ids": [self.full_id(job_id) for job_id in job_ids], "format": format_, "table": table}
        return self._get("/compare", params=params).text

    def alphas(self, search_id: Id, epoch: int | None = None) -> AnyAlphasOut:
        """A search's alphas after an epoch, raw and softmaxed."""
        params = {} if epoch is None else {"epoch": epoch}
        return self._connection.read_as(_ALPHAS, "GET", f"/searches/{self.full_id(search_id)}/alphas", params=params)

    def checkpoint_path(self, evaluation_id: Id, epoch: str = "best") -> str:
        """The path of an evaluation's checkpoint: with the URL before it, what curl wants."""
        suffix = "" if epoch == "best" else f"?epoch={epoch}"
        return f"/evaluations/{self.full_id(evaluation_id)}/checkpoint{suffix}"

    def download(self, any_id: Id, to: StrPath, epoch: str | None = None, format_: str = "torch") -> Path:
        """Save the file behind an id as `download_checkpoint` does.

        Of a search, an evaluation or an ensemble its checkpoint, of a score its logits, of a committee its ensemble's
        file, else the job's or the uploaded checkpoint of this id. Raises ProblemError 404 for an id that has none.
        """
        try:
            job = self.job(any_id)
        except ProblemError as error:
            if error.status != 404:
                raise
            wanted = {"format": format_} if format_ != "torch" else {}
            path = f"/checkpoints/{self.full_id(any_id, 'checkpoints')}"
            return download(self._connection, str(httpx.URL(path, params=wanted)), Path(to))
        if job.kind == JobKind.SCORE:
            return self.download_logits(job.id, to)
        if job.kind.is_tree:
            job = with_a_file(job, self.children(job.id))
        return self.download_checkpoint(job.id, to, epoch, format_)

    def download_checkpoint(self, job_id: Id, to: StrPath, epoch: str | None = None, format_: str = "torch") -> Path:
        """Save a search's or an evaluation's checkpoint, the file of an ensemble, or the one that a score measures,
        into a folder (under the service's name for it) or as a file.

        epoch: "best", "last" or a number; unless given an evaluation's best, a search's last. format_: "safetensors"
        for the weights alone. What an earlier try left is continued; the checksum is verified. Raises DownloadError.
        """
        wanted = {} if epoch is None else {"epoch": epoch}
        if format_ != "torch":
            wanted["format"] = format_
        return download(self._connection, str(httpx.URL(f"{self._path(job_id)}/checkpoint", params=wanted)), Path(to))

    def download_logits(self, job_id: Id, to: StrPath) -> Path:
        """Save a score's or an ensemble's logits (safetensors) as `download_checkpoint` saves a checkpoint."""
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
        """Bring a checkpoint along: one of ours, or a state_dict of the DARTS authors with its genotype.

        dataset: that a state_dict was trained on; of language models the text whose vocabulary theirs is. mean, std: of
        its images, one number a channel on the scale 0..1; the data set's own, or the authors', unless given.
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
                # The service reads the whole file once more before it answers.
                timeout=600,
            )

    def uploaded_checkpoints(self) -> Iterator[UploadOut]:
        """All uploaded checkpoints, newest first."""
        for page in self._pages("/checkpoints", UploadList):
            yield from page.items

    def delete_checkpoint(self, checkpoint_id: Id) -> None:
        """Forget an uploaded checkpoint."""
        self._connection.send("DELETE", f"/checkpoints/{self.full_id(checkpoint_id, 'checkpoints')}")

    def workers(self) -> list[WorkerOut]:
        """All workers ever seen."""
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
        """Upload an archive of class folders, or a folder of them, which is packed on the way.

        size: scale every image to so many pixels a side. progress: told the bytes sent so far. The set is checked
        afterwards: `wait_for_dataset`. Raises OSError for a file that cannot be read.
        """
        content = Upload(Path(path), {"name": name, "size": size}, progress)
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._connection.read(
            DatasetDetail,
            "POST",
            "/datasets",
            content=content,
            headers={**headers, "Content-Type": content.content_type},
            # The store syncs a large file to its disk before it answers.
            timeout=httpx.Timeout(120, connect=5),
        )

    def wait_for_dataset(self, name: str) -> DatasetDetail:
        """Block until the set has been checked."""
        backoff = Backoff(0.05, 2.0)
        while (dataset := self.dataset(name)).state == DatasetState.CHECKING:
            time.sleep(backoff.pause())
        return dataset

    def remove_dataset(self, name: str) -> None:
        """Forget an uploaded data set."""
        self._connection.send("DELETE", f"/datasets/{_plain(name)}")

    def create_key(self, role: Role | str, owner: str, limits: KeyLimits | None = None) -> KeyCreated:
        """Make a key, as an admin. Its text is in this answer and nowhere else."""
        body = {"role": role, "owner": owner, "limits": (limits or KeyLimits()).model_dump(exclude_none=True)}
        return self._connection.read(KeyCreated, "POST", "/keys", json=body)

    def keys(self) -> Iterator[KeyOut]:
        """All keys, newest first, revoked ones, too."""
        for page in self._pages("/keys", KeyList):
            yield from page.items

    def revoke_key(self, key_id: Id) -> None:
        """Refuse a key from now on."""
        self._connection.send("DELETE", f"/keys/{self.full_id(key_id, 'keys')}")

    def _act(self, job_id: Id, verb: str) -> JobOut:
        return self._connection.read(JobOut, "POST", f"{self._path(job_id)}/{verb}")

    def _path(self, job_id: Id) -> str:
        return self.job(job_id).links["self"]

    def _pages(self, path: str, kind: type[Page], /, **filters: Any) -> Iterator[Page]:
        """Every page of a list, from the first to the last."""
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


def _kind(name: str) -> JobKind:
    try:
        return JobKind(name)
    except ValueError:
        raise ProblemError(422, f"{name!r} is no kind of job: {', '.join(JobKind)}") from None


def _plain(name: str) -> str:
    """A data set's or a genotype's name as part of a path."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ProblemError(422, f"{name[:120]!r} is no name: `dartboard datasets` and `dartboard genotypes` list them")
    return name
