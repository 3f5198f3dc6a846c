"""Writes jobs as TensorBoard's event files, a folder each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from api.schemas.jobs import EpochOut, JobOut
from client.tracking.values import genotype, parameters, scalars


class TensorBoard:
    """A log directory. A job's folder is KIND-ID; a child's is STAGE-ID, within its parent's if that is here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, job: JobOut) -> _Run:
        """Event files of an earlier export of the job are deleted: the new one has all epochs."""
        for earlier in self._folder.glob(f"**/*-{job.id}/events.out.tfevents.*"):
            earlier.unlink()
        folder = self._folder / f"{job.kind}-{job.id}"
        if job.parent is not None:
            parent = next(self._folder.glob(f"**/*-{job.parent}"), self._folder)
            folder = parent / f"{job.stage}-{job.id}".replace("/", "-")
        return _Run(SummaryWriter(str(folder)), job)


class _Run:
    def __init__(self, writer: SummaryWriter, job: JobOut) -> None:
        self._writer, self._job = writer, job
        self._latest: EpochOut | None = None

    def add(self, epochs: Sequence[EpochOut]) -> None:
        if epochs and self._latest is None:
            metrics = dict.fromkeys(epochs[0].metrics, 0.0)  # names the columns; the values are the scalars
            for part in hparams(parameters(self._job.spec), metrics):
                self._writer.file_writer.add_summary(part)
        for epoch in epochs:
            time = epoch.created_at.timestamp()
            for name, value in scalars(self._job, epoch).items():
                self._writer.add_scalar(name, value, epoch.epoch, time)
            for cell, table in (epoch.alphas or {}).items():
                self._writer.add_histogram(f"alphas/{cell}", np.array(table), epoch.epoch, walltime=time)
            self._latest = epoch
        self._writer.flush()

    def end(self, job: JobOut) -> None:
        epoch = 0 if self._latest is None else self._latest.epoch
        self._text("spec", job.spec, epoch)
        if (cell := genotype(job, self._latest)) is not None:
            self._text("genotype", cell, epoch)
        if job.result is not None:
            self._text("result", job.result, epoch)
        self._writer.close()

    def _text(self, name: str, value: Mapping[str, Any], epoch: int) -> None:
        lines = json.dumps(value, indent=2).splitlines()
        self._writer.add_text(name, "\n".join(f"    {line}" for line in lines), epoch)  # Markdown's code
