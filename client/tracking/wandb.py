"""Writes jobs as offline runs of Weights & Biases, which `wandb sync` sends later."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import wandb

from api.schemas.jobs import EpochOut, JobOut
from client.tracking.values import genotype, run_name, scalars


class Wandb:
    """A folder of offline runs, in W&B's own subfolder `wandb`. A run's id is its job's."""

    def __init__(self, folder: Path, project: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._project = folder, project

    def open(self, job: JobOut) -> _Run:
        """Offline runs of an earlier export of the job are deleted: the new one has all epochs."""
        for earlier in (self._folder / "wandb").glob(f"offline-run-*-{job.id}"):
            shutil.rmtree(earlier)
        # Nothing of this machine belongs to the job, which ran elsewhere.
        settings = wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True, x_disable_meta=True
        )
        run = wandb.init(
            mode="offline",
            dir=self._folder,
            project=self._project,
            id=str(job.id),
            name=run_name(job),
            job_type=str(job.kind),
            group=str(job.parent) if job.parent is not None else None,
            config=job.spec,
            reinit="create_new",
            settings=settings,
        )
        return _Run(run, job)


class _Run:
    def __init__(self, run: wandb.Run, job: JobOut) -> None:
        self._run, self._job = run, job
        self._latest: EpochOut | None = None

    def add(self, epochs: Sequence[EpochOut]) -> None:
        for epoch in epochs:
            time = epoch.created_at.timestamp()
            self._run.log({**scalars(self._job, epoch), "_timestamp": time}, step=epoch.epoch)
            self._latest = epoch

    def end(self, job: JobOut) -> None:
        self._run.summary["status"] = str(job.status)
        self._run.summary["genotype"] = genotype(job, self._latest)
        self._run.finish(exit_code=1 if job.status == "failed" else 0)
