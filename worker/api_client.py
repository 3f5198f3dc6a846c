"""Calls the API with the worker key and the attempt's token. Never retries: `worker.retry` does."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
from pydantic import BaseModel

from api.schemas.worker import (
    Claim,
    Claimed,
    DamagedFile,
    Directive,
    EpochReport,
    Fail,
    Finish,
    Heartbeat,
    Input,
    LogReport,
    Offer,
    PartialReport,
    Presence,
    Release,
    Resume,
    StoredFile,
)
from client.transport import Transport, problem_of

_BLOCK = 1 << 20


class WorkerApiError(Exception):
    """Base of the errors between a worker and the API."""


class UnreachableError(WorkerApiError):
    """No answer, or a temporary one: the API or its database is away. A later try may succeed."""


class SupersededError(WorkerApiError):
    """The attempt is over for the API: cancelled, lost, or running elsewhere. The worker stops."""


class StoreFullError(WorkerApiError):
    """The API has no room for the file, and has paused the job."""


class DamagedError(WorkerApiError):
    """A file arrived with another checksum than it was stored with, or is damaged or missing in the store."""


class RangeError(WorkerApiError):
    """The file has no such part."""


class RefusedError(WorkerApiError):
    """The API refuses the request, and would refuse it again."""


class WorkerApi(Transport):
    """Calls made with the worker key."""

    def __init__(self, url: str, key: str, *, timeout: float = 10.0) -> None:
        """timeout: seconds that an answer may take."""
        # A worker talks to the address it was given, never to a proxy that the environment names.
        super().__init__(url, key, timeout=timeout, connect=3, proxies=False)

    def show(self, presence: Presence) -> None:
        """Register the worker as alive. Raises WorkerApiError."""
        self.send("POST", "/worker/presence", json=presence.model_dump())

    def claim(self, claim: Claim) -> Claimed | None:
        """Claim a queued job that fits; None where there is none. Raises WorkerApiError."""
        answer = self.send("POST", "/worker/claim", json=claim.model_dump())
        return None if answer.status_code == 204 else Claimed.model_validate_json(answer.content)

    def attempt(self, attempt_id: str, token: str) -> AttemptApi:
        return AttemptApi(self, attempt_id, token)

    def unreachable(self, error: httpx.HTTPError) -> UnreachableError:
        """An error that a later try may not meet."""
        return UnreachableError(f"{type(error).__name__}: {error}")

    def check(self, answer: httpx.Response) -> None:
        """Raise a WorkerApiError unless the API took the request."""
        if answer.is_success:
            return
        detail = str(problem_of(answer).get("detail", answer.text[:300]))
        message = f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {detail}"
        match answer.status_code:
            case 409 | 403:
                raise SupersededError(detail)
            case 410:
                raise DamagedError(detail)
            case 416:
                raise RangeError(detail)
            case 507:
                raise StoreFullError(detail)
            case 429 | 500 | 502 | 503 | 504:
                raise UnreachableError(message)
        raise RefusedError(message)


class AttemptApi:
    """Calls about one attempt, with its token. Each may raise WorkerApiError."""

    def __init__(self, api: WorkerApi, attempt_id: str, token: str) -> None:
        self._api = api
        self._path = f"/worker/attempts/{attempt_id}"
        self._headers = {"X-Attempt-Token": token}

    def heartbeat(self, beat: Heartbeat) -> Directive:
        """Renew the lease."""
        return Directive.model_validate_json(self._post("heartbeat", beat).content)

    def report_damaged(self, file: str) -> Resume | None:
        """Report a checkpoint whose checksum is wrong. Returns the one to resume from instead, None to begin anew."""
        return Offer.model_validate_json(self._post("damaged", DamagedFile(file=file)).content).resume

    def report_epoch(self, report: EpochReport) -> Directive:
        """Report an epoch. Upload its checkpoint first."""
        return Directive.model_validate_json(self._post("epochs", report).content)

    def report_partial(self, report: PartialReport) -> Directive:
        """Report a checkpoint from the middle of an epoch. Upload it first."""
        return Directive.model_validate_json(self._post("partials", report).content)

    def report_logs(self, report: LogReport) -> None:
        self._post("logs", report)

    def finish(self, report: Finish) -> None:
        """Report success."""
        self._post("finish", report)

    def fail(self, report: Fail) -> None:
        """Report a failed or lost attempt."""
        self._post("fail", report)

    def release(self, report: Release) -> None:
        """Give the job back."""
        self._post("release", report)

    def upload(self, path: Path) -> StoredFile:
        """Stream a file into the store, under its own name."""
        with path.open("rb") as file:
            answer = self._api.send(
                "PUT",
                f"{self._path}/files/{path.name}",
                headers={**self._headers, "Content-Length": str(path.stat().st_size)},
                content=iter(lambda: file.read(_BLOCK), b""),
                # The store syncs to its disk before it answers; a large file on a slow disk takes a while.
                timeout=httpx.Timeout(120, connect=3),
            )
        return StoredFile.model_validate_json(answer.content)

    def download(self, wanted: Resume | Input, to: Path) -> None:
        """Fetch the checkpoint to resume from, or an input. Raises DamagedError when its checksum is wrong."""
        digest = hashlib.sha256()
        with (
            to.open("wb") as file,
            self._api.stream(f"{self._path}/files/{wanted.file}", headers=self._headers) as answer,
        ):
            for block in answer.iter_bytes(_BLOCK):
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != wanted.sha256:
            what = wanted.name if isinstance(wanted, Input) else f"checkpoint of epoch {wanted.epoch}"
            raise DamagedError(
                f"the stored {what} ({wanted.file}) is damaged: its sha256 is {digest.hexdigest()}, not {wanted.sha256}"
            )

    def download_dataset(self, checksum: str, to: Path) -> None:
        """Fetch an uploaded data set, continuing a partial file. The caller compares the checksum."""
        have = to.stat().st_size if to.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        try:
            with self._api.stream(f"/worker/datasets/{checksum}", headers=headers) as answer:
                continued = answer.status_code == httpx.codes.PARTIAL_CONTENT
                with to.open("ab" if continued else "wb") as file:
                    for block in answer.iter_bytes(_BLOCK):
                        file.write(block)
        except RangeError:
            return  # the file is complete

    def _post(self, what: str, body: BaseModel) -> httpx.Response:
        content = body.model_dump_json()
        headers = {**self._headers, "Content-Type": "application/json"}
        return self._api.send("POST", f"{self._path}/{what}", headers=headers, content=content)
