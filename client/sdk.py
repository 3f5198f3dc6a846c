"""The SDK: everything the service offers to its users, as methods.

with Dartboard("http://127.0.0.1:8000") as dartboard:
    search = dartboard.submit("search", {"dataset": "digits", "epochs": 3})
    for event in dartboard.follow(search):
        print(event.kind, event.data)
    print(dartboard.genotype(search.id).text)
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar
from uuid import UUID

import httpx
from pydantic import TypeAdapter

from api.schemas.checkpoints import UploadList, UploadOut
from api.schemas.compare import Comparison, TableName
from api.schemas.datasets import DatasetDetail, DatasetList, DatasetOut, DatasetState
from api.schemas.genotypes import AnyGenotypeOut, GenotypeList
from api.schemas.jobs import EpochList, EpochOut, JobKind, JobList, JobOut, LogLine, LogList
from api.schemas.keys import KeyCreated, KeyLimits, KeyList, KeyOut, Role
from api.schemas.operation import WorkerList, WorkerOut
from api.schemas.searches import AnyAlphasOut
from client.connection import Connection
from client.downloading import download
from client.errors import ProblemError
from client.following import Event, follow
from client.uploading import Upload
from darts_core.primitives import Family

Id = UUID | str
Page = TypeVar("Page", JobList, UploadList, KeyList)
_GENOTYPE: Final[TypeAdapter[AnyGenotypeOut]] = TypeAdapter(AnyGenotypeOut)
_ALPHAS: Final[TypeAdapter[AnyAlphasOut]] = TypeAdapter(AnyAlphasOut)


class Dartboard:
    """A connection to a service. Every method may raise ServiceUnreachableError and ProblemError."""

    def __init__(self, url: str = "http://127.0.0.1:8000", key: str | None = None, *, timeout: float = 30.0) -> None:
        """timeout: seconds that an answer may take."""
        self._connection = Connection(url, key, timeout=timeout)

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

    def submit(self, kind: JobKind | str, body: dict[str, Any], *, idempotency_key: str | None = None) -> JobOut:
        """Queue a job. With the same idempotency key the same job comes back, however often it is sent."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        answer = self._connection.send("POST", f"/{JobKind(kind).collection}", json=body, headers=headers)
        return JobOut.model_validate_json(answer.content)

    def job(self, job_id: Id) -> JobOut:
        """A job of any kind."""
        return JobOut.model_validate_json(self._get(f"/jobs/{_safe(job_id)}").content)

    def jobs(self, **filters: Any) -> Iterator[JobOut]:
        """All jobs, newest first; filters: kind, status, label, parent."""
        for page in self._pages("/jobs", JobList, **filters):
            yield from page.items

    def children(self, tree_id: Id) -> list[JobOut]:
        """What a study or a committee is made of so far, in the order in which it was made."""
        answer = self._get(f"{self._path(tree_id)}/children")
        return JobList.model_validate_json(answer.content).items

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

    def delete(self, job_id: Id) -> None:
        """Forget an ended job."""
        self._connection.send("DELETE", self._path(job_id))

    def epochs(self, job_id: Id, after: int = 0) -> list[EpochOut]:
        """Finished epochs above `after`, in order."""
        found: list[EpochOut] = []
        while True:
            answer = self._get(f"{self._path(job_id)}/epochs", params={"after": after})
            page = EpochList.model_validate_json(answer.content).items
            found += page
            if not page:
                return found
            after = page[-1].epoch

    def logs(self, job_id: Id, tail: int = 200) -> list[LogLine]:
        """The last lines that the job's workers logged."""
        return LogList.model_validate_json(self._get(f"{self._path(job_id)}/logs", params={"tail": tail}).content).items

    def follow(self, job: JobOut | Id, after: int = 0) -> Iterator[Event]:
        """The job's events from sequence `after` on, each once, until it has ended; reconnects by itself."""
        path = job.links["self"] if isinstance(job, JobOut) else self._path(job)
        return follow(self._connection, f"{path}/events", after)

    def wait(self, job: JobOut | Id) -> JobOut:
        """Block until the job has ended."""
        for _ in self.follow(job):
            pass
        return self.job(job.id if isinstance(job, JobOut) else job)

    def genotype(self, search_id: Id, epoch: int | None = None) -> AnyGenotypeOut:
        """The cell that a search stands at."""
        params = {} if epoch is None else {"epoch": epoch}
        return _GENOTYPE.validate_json(self._get(f"/searches/{_safe(search_id)}/genotype", params=params).content)

    def genotypes(self) -> list[str]:
        """The names of published and registered genotypes."""
        return GenotypeList.model_validate_json(self._get("/genotypes").content).items

    def known_genotype(self, name: str, family: Family | None = None) -> AnyGenotypeOut:
        """A published or registered genotype. family: of a name that stands for a cell of each; cnn unless given."""
        params = {} if family is None else {"family": family}
        return _GENOTYPE.validate_json(self._get(f"/genotypes/{_plain(name)}", params=params).content)

    def register_genotype(self, name: str, genotype: str | dict[str, Any]) -> AnyGenotypeOut:
        """Give a genotype (of either family, in any format) a name that evaluations take."""
        body = {"name": name, "genotype": genotype}
        return _GENOTYPE.validate_json(self._connection.send("POST", "/genotypes", json=body).content)

    def delete_genotype(self, name: str) -> None:
        """Forget a registered name."""
        self._connection.send("DELETE", f"/genotypes/{_plain(name)}")

    def compare(self, job_ids: Sequence[Id]) -> Comparison:
        """Two to twenty jobs beside each other."""
        params = {"ids": [_safe(job_id) for job_id in job_ids]}
        return Comparison.model_validate_json(self._get("/compare", params=params).content)

    def comparison_text(
        self, job_ids: Sequence[Id], format_: Literal["csv", "markdown"], table: TableName = "figures"
    ) -> str:
        """The same as text. table: which one, of CSV; Markdown has them all."""
        params = {"ids": [_safe(job_id) for job_id in job_ids], "format": format_, "table": table}
        return self._get("/compare", params=params).text

    def alphas(self, search_id: Id, epoch: int | None = None) -> AnyAlphasOut:
        """A search's alphas after an epoch, raw and softmaxed."""
        params = {} if epoch is None else {"epoch": epoch}
        return _ALPHAS.validate_json(self._get(f"/searches/{_safe(search_id)}/alphas", params=params).content)

    def checkpoint_path(self, evaluation_id: Id, epoch: str = "best") -> str:
        """The path of an evaluation's checkpoint: with the URL before it, what curl wants."""
        suffix = "" if epoch == "best" else f"?epoch={epoch}"
        return f"/evaluations/{_safe(evaluation_id)}/checkpoint{suffix}"

    def download_checkpoint(self, job_id: Id, to: Path, epoch: str = "best", format_: str = "torch") -> Path:
        """Save an evaluation's checkpoint, or an ensemble's file, into a folder (under the service's name for it) or as
        a file.

        format_: "safetensors" for the weights alone. What an earlier try left is continued; the checksum is verified.
        Raises DownloadError.
        """
        wanted = {"epoch": epoch} if epoch != "best" else {}
        if format_ != "torch":
            wanted["format"] = format_
        return download(self._connection, str(httpx.URL(f"{self._path(job_id)}/checkpoint", params=wanted)), to)

    def download_logits(self, job_id: Id, to: Path) -> Path:
        """Save a score's or an ensemble's logits (safetensors) as `download_checkpoint` saves a checkpoint."""
        return download(self._connection, f"{self._path(job_id)}/logits", to)

    def upload_checkpoint(self, path: Path, genotype: str | None = None, dataset: str | None = None) -> UploadOut:
        """Bring a checkpoint along: one of ours, or a state_dict of the DARTS authors with its genotype.

        dataset: of their language models, the text whose vocabulary theirs is.
        """
        fields = {k: v for k, v in {"genotype": genotype, "dataset": dataset}.items() if v is not None}
        with path.open("rb") as file:
            answer = self._connection.send(
                "POST",
                "/checkpoints",
                data=fields,
                files={"file": (path.name, file, "application/octet-stream")},
                # The service reads the whole file once more before it answers.
                timeout=600,
            )
        return UploadOut.model_validate_json(answer.content)

    def uploaded_checkpoints(self) -> Iterator[UploadOut]:
        """All uploaded checkpoints, newest first."""
        for page in self._pages("/checkpoints", UploadList):
            yield from page.items

    def delete_checkpoint(self, checkpoint_id: Id) -> None:
        """Forget an uploaded checkpoint."""
        self._connection.send("DELETE", f"/checkpoints/{_safe(checkpoint_id)}")

    def workers(self) -> list[WorkerOut]:
        """All workers ever seen."""
        return WorkerList.model_validate_json(self._get("/workers").content).items

    def datasets(self) -> list[DatasetOut]:
        """The built-in data sets, then the uploaded ones."""
        return DatasetList.model_validate_json(self._get("/datasets").content).items

    def dataset(self, name: str) -> DatasetDetail:
        """One data set, with the report of its check."""
        return DatasetDetail.model_validate_json(self._get(f"/datasets/{_plain(name)}").content)

    def add_dataset(
        self,
        name: str,
        path: Path,
        *,
        size: int | None = None,
        idempotency_key: str | None = None,
        progress: Callable[[int], None] = lambda sent: None,
    ) -> DatasetDetail:
        """Upload an archive of class folders, or a folder of them, which is packed on the way.

        size: scale every image to so many pixels a side. progress: told the bytes sent so far. The set is checked
        afterwards: `wait_for_dataset`. Raises OSError for a file that cannot be read.
        """
        content = Upload(path, {"name": name, "size": size}, progress)
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        answer = self._connection.send(
            "POST",
            "/datasets",
            content=content,
            headers={**headers, "Content-Type": content.content_type},
            # The store syncs a large file to its disk before it answers.
            timeout=httpx.Timeout(120, connect=5),
        )
        return DatasetDetail.model_validate_json(answer.content)

    def wait_for_dataset(self, name: str) -> DatasetDetail:
        """Block until the set has been checked."""
        pause = 0.05
        while (dataset := self.dataset(name)).state == DatasetState.CHECKING:
            time.sleep(pause)
            pause = min(2 * pause, 2.0)
        return dataset

    def remove_dataset(self, name: str) -> None:
        """Forget an uploaded data set."""
        self._connection.send("DELETE", f"/datasets/{_plain(name)}")

    def create_key(self, role: Role | str, owner: str, limits: KeyLimits | None = None) -> KeyCreated:
        """Make a key, as an admin. Its text is in this answer and nowhere else."""
        body = {"role": role, "owner": owner, "limits": (limits or KeyLimits()).model_dump(exclude_none=True)}
        return KeyCreated.model_validate_json(self._connection.send("POST", "/keys", json=body).content)

    def keys(self) -> Iterator[KeyOut]:
        """All keys, newest first, revoked ones, too."""
        for page in self._pages("/keys", KeyList):
            yield from page.items

    def revoke_key(self, key_id: Id) -> None:
        """Refuse a key from now on."""
        self._connection.send("DELETE", f"/keys/{_safe(key_id)}")

    def _act(self, job_id: Id, verb: str) -> JobOut:
        return JobOut.model_validate_json(self._connection.send("POST", f"{self._path(job_id)}/{verb}").content)

    def _path(self, job_id: Id) -> str:
        return self.job(job_id).links["self"]

    def _pages(self, path: str, kind: type[Page], /, **filters: Any) -> Iterator[Page]:
        """Every page of a list, from the first to the last."""
        cursor: str | None = None
        while True:
            params = {k: v for k, v in {**filters, "cursor": cursor, "limit": 100}.items() if v is not None}
            page = kind.model_validate_json(self._get(path, params=params).content)
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    def _get(self, path: str, **what: Any) -> httpx.Response:
        return self._connection.send("GET", path, **what)


def _safe(job_id: Id) -> str:
    """An id as part of a path: nothing in it may lead elsewhere."""
    text = str(job_id)
    if not re.fullmatch(r"[0-9A-Za-z-]{1,64}", text):
        raise ProblemError(422, f"{text[:80]!r} is not an id: `dartboard jobs` lists them")
    return text


def _plain(name: str) -> str:
    """A data set's or a genotype's name as part of a path."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ProblemError(422, f"{name[:120]!r} is no name: `dartboard datasets` and `dartboard genotypes` list them")
    return name
