"""Searches without training: a worker's reports, with alphas that drift apart."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from api.schemas.jobs import JobOut, Progress
from api.schemas.worker import Claim, EpochReport, Finish, Heartbeat
from client.sdk import Dartboard
from darts_core.genotypes import to_json
from darts_core.genotypes.derive import derive
from darts_core.primitives import CNN_PRIMITIVES, edges_of
from worker.api_client import WorkerApi

STEPS = 300


class SimulatedSearch:
    """One running search of four nodes, as long as its worker key and pool are its own."""

    def __init__(self, dartboard: Dartboard, api: WorkerApi, number: int, folder: Path, **fields: Any) -> None:
        pool = f"pretended-{number}"
        self.job: JobOut = dartboard.submit("search", {"dataset": "digits", "pool": pool, **fields})
        claimed = api.claim(Claim(worker=f"pretender/{number}", pools=[pool], threads=1))
        assert claimed is not None
        self._attempt = api.attempt(str(claimed.attempt_id), claimed.token)
        self._epochs, self._file = int(self.job.spec["epochs"]), folder / f"{number}.pt"
        self._random, self._drift = random.Random(number), random.Random(-number)
        self._goals = {cell: self._table(1.5) for cell in ("normal", "reduce")}
        self._sent, self.epoch = 0, 0

    def step(self, step: int) -> None:
        """A heartbeat from the middle of an epoch."""
        left = float(STEPS - step % STEPS)
        progress = Progress(epoch=self.epoch + 1, epochs=self._epochs, step=step % STEPS, steps=STEPS, eta_seconds=left)
        self._attempt.heartbeat(Heartbeat(progress=progress))

    def end_epoch(self) -> None:
        """One more epoch, with its checkpoint."""
        self.epoch += 1
        done = self.epoch / self._epochs
        self._file.write_bytes(f"checkpoint {self.epoch}".encode())
        stored = self._attempt.upload(self._file)
        alphas = {cell: [[a * done for a in row] for row in table] for cell, table in self._goals.items()}
        metrics = {name: value * (2 - done) for name, value in (("train_loss", 0.5), ("validation_loss", 0.6))}
        metrics |= {"train_accuracy": 90 * done, "validation_accuracy": 85 * done + self._drift.random()}
        report = EpochReport(
            n=self._number(),
            epoch=self.epoch,
            metrics=metrics,
            seconds=12.0,
            genotype=to_json(derive(alphas["normal"], alphas["reduce"], CNN_PRIMITIVES)),
            alphas=alphas,
            checkpoint=self._file.name,
            sha256=stored.sha256,
        )
        self._attempt.report_epoch(report)

    def finish(self) -> None:
        """All epochs are done."""
        self._attempt.finish(Finish(n=self._number()))

    def _number(self) -> int:
        self._sent += 1
        return self._sent

    def _table(self, spread: float) -> list[list[float]]:
        return [[self._random.gauss(0, spread) for _ in CNN_PRIMITIVES] for _ in range(edges_of(4))]
