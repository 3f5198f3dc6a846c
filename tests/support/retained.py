"""A service whose jobs are cleared by rules of retention, and sweeps like those of its API processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from api.artifacts import open_store
from api.db.engine import Database
from api.retention.sweep import RetentionSweeper
from api.schemas.jobs import Failure, JobOut
from api.schemas.retention import Cleared
from api.schemas.worker import Fail
from client.sdk import Dartboard
from tests.support.databases import plain
from tests.support.service import Bench, SimulatedAttempt

LARGEST = 8 * 2**30


@dataclass
class Retained:
    """bench: of the service's admin. store: its URL; None for the folder."""

    bench: Bench
    database_url: str
    folder: Path
    store: str | None = None

    @property
    def admin(self) -> Dartboard:
        return self.bench.dartboard

    def job(
        self,
        epochs: int,
        *,
        kind: str = "search",
        end: str = "succeeded",
        sdk: Dartboard | None = None,
        best: int | None = None,
        size: int = 40,
        **fields: Any,
    ) -> JobOut:
        """A job with so many finished epochs, each with a file of its own. end: its status. best: its best epoch."""
        fields = {"checkpoint_every": 1, "pool": self.bench.pool, "dataset": "digits", **fields}
        if kind == "evaluation":
            fields = {"genotype": "DARTS_V2", **fields}
        planned = epochs if end == "succeeded" else epochs + 1
        job = (sdk or self.admin).submit(kind, {"epochs": planned, **fields})
        training = self.bench.claim()
        assert training.claimed.job_id == job.id
        for epoch in range(1, epochs + 1):
            training.report(epoch, os.urandom(size), validation_accuracy=90.0 if epoch == best else 50.0 - epoch)
        return self.end(training, end)

    def end(self, training: SimulatedAttempt, status: str) -> JobOut:
        """End a training's job with this status; a `running` one stays."""
        job_id = training.claimed.job_id
        if status == "succeeded":
            training.finish()
        elif status == "cancelled":
            self.admin.cancel(job_id)
        elif status == "failed":
            error = Failure(type="Broken", message="broken")
            training.attempt.fail(Fail(n=training.number(), outcome="failed", error=error))
        return self.admin.job(job_id)

    def age(self, job: JobOut, days: int) -> None:
        """Have the job ended so many days ago."""
        ended = "update jobs set finished_at = now() - make_interval(hours => 24 * %s, mins => 1) where id = %s"
        self.execute(ended, days, job.id)

    def epochs(self, job: JobOut) -> list[int]:
        """The epochs with a checkpoint."""
        return sorted(checkpoint.epoch for checkpoint in self.admin.checkpoints(job.id))

    def named(self) -> set[str]:
        """The keys of all files that jobs' rows name."""
        with psycopg.connect(plain(self.database_url)) as connection:
            return {key for (key,) in connection.execute("select key from checkpoints")}

    def files(self) -> dict[str, int]:
        """The sizes of all stored files, by key."""

        async def files() -> dict[str, int]:
            found = await open_store(self.store, self.folder, LARGEST).files()
            return {key: file.size for key, file in found.items()}

        return asyncio.run(files())

    def sweep(self, orphans_older_than: float = 24 * 3600.0) -> Cleared:
        """One sweep."""
        [cleared] = self.sweeps(1, orphans_older_than)
        assert cleared is not None
        return cleared

    def sweeps(self, number: int, orphans_older_than: float = 24 * 3600.0) -> Sequence[Cleared | None]:
        """Several sweeps at once, each like one of an API process."""

        async def sweep() -> Cleared | None:
            store = open_store(self.store, self.folder, LARGEST)
            database = Database(self.database_url)
            try:
                return await RetentionSweeper(database, store, orphans_older_than).sweep()
            finally:
                await database.close()

        async def all_at_once() -> list[Cleared | None]:
            return await asyncio.gather(*(sweep() for _ in range(number)))

        return asyncio.run(all_at_once())

    def execute(self, statement: str, *values: Any) -> None:
        with psycopg.connect(plain(self.database_url)) as connection:
            connection.execute(statement, values)
