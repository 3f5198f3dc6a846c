"""A worker that trains nothing: its figures follow from the specs of the jobs that it claims."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from api.schemas.jobs import JobKind, JobOut
from api.schemas.worker import Claim, EpochReport, Fail, Finish
from client.sdk import Dartboard
from client.study_text import tables
from darts_core.genotypes import KNOWN, to_json
from worker.api_client import AttemptApi, WorkerApi

# What a search with this seed finds, and how well that does on validation data.
CELLS = ["DARTS_V1", "DARTS_V2", "AmoebaNet", "NASNet"]
VALIDATION = dict(zip(CELLS, (90.0, 95.0, 92.5, 94.0), strict=True))
STUDY: dict[str, Any] = {
    "seeds": [0, 1],
    "search": {"dataset": "digits", "epochs": 1},
    "short_retrain": {"epochs": 1},
    "final": {"epochs": 1, "seed": 10},
    "final_runs": 2,
}
COMMITTEE: dict[str, Any] = {
    "search": {"dataset": "digits", "epochs": 1},
    "evaluation": {"epochs": 1, "seed": 10},
    "ensemble": {"combine": "sum", "select": {"best": 2}},
}
_FIGURES = {"test": {"accuracy": 96.0}, "validation": {"accuracy": 97.0}}
_TOGETHER: dict[str, Any] = {
    "test": {"part": "test", "count": 180, "of": 360},
    "validation": {"part": "test", "count": 180, "of": 360},
    "committee": _FIGURES,
    "plain": _FIGURES,
    "gain": 0.5,
    "disagreement": None,
    "selection": None,
    "curve": None,
    "classes": None,
    "vocabulary": None,
}


def cell_of(genotype: dict[str, Any]) -> str:
    return next(name for name in CELLS if to_json(KNOWN[name]) == genotype)


def printed(job: JobOut) -> str:
    """The command's text for an ended composite job."""
    parts = ([shown] if isinstance(shown, str) else map(str, shown.lines(200)) for shown in tables(job))
    return "\n".join(line for part in parts for line in part)


@dataclass
class SimulatedWorker:
    """Claims from one pool. `failing`: stages that fail."""

    dartboard: Dartboard
    api: WorkerApi
    folder: Path
    pool: str
    failing: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)

    def study(self, **fields: Any) -> JobOut:
        return self.dartboard.submit("study", {**STUDY, "pool": self.pool, **fields})

    def committee(self, **fields: Any) -> JobOut:
        return self.dartboard.submit("committee", {**COMMITTEE, "pool": self.pool, **fields})

    def leave(self) -> None:
        """End what is left."""
        for kind in ("study", "committee"):
            for job in self.dartboard.jobs(kind=kind):
                if not job.status.ended and job.pool == self.pool:
                    self.dartboard.cancel(job.id)

    def until(self, ready: Callable[[], Any], seconds: float = 15.0) -> Any:
        """What `ready` gives once it gives something: for what has no stream of its own."""
        deadline = time.monotonic() + seconds
        while not (found := ready()):
            assert time.monotonic() < deadline, "it did not come to that in time"
            time.sleep(0.02)
        return found

    def children(self, tree: JobOut) -> dict[str, JobOut]:
        found = {str(c.stage): c for c in self.dartboard.jobs(parent=str(tree.id))}
        return dict(reversed(found.items()))

    def begin(self) -> Running | None:
        """Claim the next job."""
        claimed = self.api.claim(Claim(worker=f"simulated-{self.pool}", pools=[self.pool], threads=1))
        if claimed is None:
            return None
        job = self.dartboard.job(claimed.job_id)
        return Running(self, job, self.api.attempt(str(claimed.attempt_id), claimed.token))

    def work(self) -> Running:
        """Do the next job as soon as there is one."""
        running: Running = self.until(self.begin)
        running.finish()
        return running

    def work_until_ended(self, tree: JobOut) -> JobOut:
        while not (now := self.dartboard.job(tree.id)).status.ended:
            if (running := self.begin()) is not None:
                running.finish()
            else:
                time.sleep(0.02)
        return now


@dataclass
class Running:
    """A claimed job."""

    worker: SimulatedWorker
    job: JobOut
    attempt: AttemptApi

    def finish(self) -> None:
        """Report its one epoch, or its failure."""
        stage = str(self.job.stage)
        self.worker.done.append(stage)
        if stage in self.worker.failing:
            error = {"type": "Diverged", "message": "it did"}
            self.attempt.fail(Fail.model_validate({"n": 1, "outcome": "failed", "error": error}))
            return
        path = self.worker.folder / f"{uuid4().hex}.pt"
        path.write_bytes(stage.encode())
        stored = self.attempt.upload(path)
        report = EpochReport(n=1, epoch=1, seconds=1.0, checkpoint=path.name, sha256=stored.sha256, **self._found())
        self.attempt.report_epoch(report)
        self.attempt.finish(Finish(n=2))

    def _found(self) -> dict[str, Any]:
        spec = self.job.spec
        if self.job.kind is JobKind.SEARCH:
            genotype = to_json(KNOWN[CELLS[spec["seed"] % len(CELLS)]])
            alphas = {"normal": [[0.5]], "reduce": [[0.5]]}
            return {"metrics": {"validation_accuracy": 50.0}, "genotype": genotype, "alphas": alphas}
        if self.job.kind is JobKind.ENSEMBLE:
            member = {"epoch": 1, "chosen": True, "weight": 1.0, **_FIGURES}
            result = {**_TOGETHER, "members": [member for _ in spec["members"]]}
            return {"metrics": {"test_accuracy": 96.0}, "result": result}
        accuracy = VALIDATION[cell_of(spec["genotype"])]
        return {"metrics": {"validation_accuracy": accuracy, "test_accuracy": 80.0 + spec["seed"]}}
