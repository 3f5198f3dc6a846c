"""A running service, and the worker's side of its API without a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx

from api.schemas.jobs import JobOut
from api.schemas.worker import Claim, Claimed, EpochReport, Finish, PartialReport, Resume
from client.sdk import Dartboard
from darts_core.genotypes import KNOWN, Genotype, to_json
from worker.api_client import AttemptApi, WorkerApi


@dataclass(frozen=True)
class Service:
    """A running service and the ways to talk to it."""

    url: str
    worker_key: str
    data: Path
    database_url: str
    broker_url: str

    @property
    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20)


@dataclass
class SimulatedAttempt:
    """What a worker does between claim and finish, without the training."""

    api: WorkerApi
    claimed: Claimed
    folder: Path
    sent: int = 0

    @property
    def attempt(self) -> AttemptApi:
        return self.api.attempt(str(self.claimed.attempt_id), self.claimed.token)

    @property
    def resume(self) -> Resume:
        """The checkpoint that the attempt begins with."""
        assert self.claimed.resume is not None
        return self.claimed.resume

    def number(self) -> int:
        self.sent += 1
        return self.sent

    def report(
        self,
        epoch: int,
        content: bytes | None = None,
        alphas: dict[str, list[list[float]]] | None = None,
        strengths: dict[str, list[list[float]]] | None = None,
        genotype: Genotype = KNOWN["DARTS_V2"],
        **metrics: float,
    ) -> EpochReport:
        """Upload a checkpoint and report its epoch; the report, to send it again."""
        path = self.folder / f"epoch-{epoch}.pt"
        path.write_bytes(content or f"checkpoint of epoch {epoch}".encode())
        stored = self.attempt.upload(path)
        report = EpochReport(
            n=self.number(),
            epoch=epoch,
            metrics={"validation_accuracy": 50.0, **metrics},
            seconds=1.5,
            genotype=to_json(genotype),
            alphas=alphas or {"normal": [[0.5, 0.25]], "reduce": [[0.125, float(epoch)]]},
            strengths=strengths,
            checkpoint=path.name,
            sha256=stored.sha256,
            waited=0.25,
        )
        self.attempt.report_epoch(report)
        return report

    def report_partial(self, epoch: int, step: int) -> None:
        """Upload and report a checkpoint from the middle of the epoch after this one."""
        path = self.folder / f"partial-{epoch}-{step}.pt"
        path.write_bytes(f"epoch {epoch}, step {step}".encode())
        sha256 = self.attempt.upload(path).sha256
        self.attempt.report_partial(
            PartialReport(n=self.number(), epoch=epoch, step=step, checkpoint=path.name, sha256=sha256)
        )

    def finish(self) -> None:
        self.attempt.finish(Finish(n=self.number()))


_CLAIMS: Final = 100
EndLease: TypeAlias = Callable[[SimulatedAttempt], None]


@dataclass(frozen=True)
class Bench:
    """Submits jobs to one pool and claims them from it."""

    dartboard: Dartboard
    api: WorkerApi
    pool: str
    folder: Path

    def submit(self, **fields: Any) -> JobOut:
        return self.dartboard.submit("search", {"dataset": "digits", "epochs": 3, "pool": self.pool, **fields})

    def claim(self, worker: str = "worker-a", threads: int = 2) -> SimulatedAttempt:
        """Claim the next job. A claim passes over a locked row, such as a new job's may be for a moment."""
        claim = Claim(worker=worker, pools=[self.pool], threads=threads)
        claimed = next(filter(None, (self.api.claim(claim) for _ in range(_CLAIMS))), None)
        assert claimed is not None
        return SimulatedAttempt(self.api, claimed, self.folder)

    def nothing_to_claim(self) -> bool:
        return self.api.claim(Claim(worker="worker-a", pools=[self.pool], threads=2)) is None

    def wait_for_status(self, job: JobOut, *statuses: str) -> JobOut:
        """Follow the job's events until it reaches one of these."""
        for event in self.dartboard.follow(job):
            if event.kind == "status" and event.data["status"] in statuses and event.sequence > 1:
                break
        return self.dartboard.job(job.id)
