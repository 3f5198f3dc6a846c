"""Writes jobs as runs of an MLflow server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.entities import Run as StoredRun
from mlflow.exceptions import MlflowException

from api.schemas.jobs import EpochOut, JobKind, JobOut, Status
from client.errors import DartboardError, ProblemError, ServiceUnreachableError
from client.sdk import Dartboard
from client.tracking.values import genotype, parameters, run_name, scalars

_JOB: Final = "dartboard.job"
_EPOCH: Final = "dartboard.epoch"
_FINISHED: Final = "dartboard.finished_at"
_ENDS: Final = {Status.SUCCEEDED: "FINISHED", Status.FAILED: "FAILED", Status.CANCELLED: "KILLED"}
# MLflow refuses longer values of parameters, and more metrics or parameters in one request.
_LONGEST_VALUE: Final = 6_000
_MOST_METRICS: Final = 1_000
_MOST_PARAMETERS: Final = 100


class Mlflow:
    """An experiment of a server. The tag `dartboard.job` finds a job's run again."""

    def __init__(self, dartboard: Dartboard, url: str, experiment: str) -> None:
        """Raises ServiceUnreachableError when no server answers, which MLflow's client would try for minutes."""
        try:
            httpx.get(url, timeout=10, follow_redirects=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServiceUnreachableError(
                f"cannot reach MLflow at {url} ({error}); --server or MLFLOW_TRACKING_URI names its http(s) URL"
            ) from error
        self._dartboard, self._url = dartboard, url
        self._client = MlflowClient(tracking_uri=url)
        with _told(url):
            found = self._client.get_experiment_by_name(experiment)
            self._experiment = self._client.create_experiment(experiment) if found is None else found.experiment_id

    def open(self, job: JobOut) -> _Run:
        with _told(self._url):
            return _Run(self._dartboard, self._client, self._url, self._run_of(job), job)

    def _run_of(self, job: JobOut) -> StoredRun:
        if (found := self._find(str(job.id))) is not None:
            return found
        tags = {_JOB: str(job.id), "dartboard.kind": str(job.kind), "dartboard.url": self._dartboard.url}
        if job.parent is not None and (parent := self._find(str(job.parent))) is not None:
            tags["mlflow.parentRunId"] = parent.info.run_id
        begun = _milliseconds(job.started_at or job.created_at)
        run = self._client.create_run(self._experiment, begun, tags, run_name(job))
        given = [Param(name, str(value)) for name, value in parameters(job.spec).items()]
        fitting = [param for param in given if len(param.value) <= _LONGEST_VALUE]
        for first in range(0, len(fitting), _MOST_PARAMETERS):
            self._client.log_batch(run.info.run_id, params=fitting[first : first + _MOST_PARAMETERS])
        return run

    def _find(self, job_id: str) -> StoredRun | None:
        found = self._client.search_runs([self._experiment], f"tags.`{_JOB}` = '{job_id}'", max_results=1)
        return found[0] if found else None


class _Run:
    def __init__(self, dartboard: Dartboard, client: MlflowClient, url: str, run: StoredRun, job: JobOut) -> None:
        self._dartboard, self._client, self._url, self._job = dartboard, client, url, job
        self._id, self._tags = run.info.run_id, run.data.tags
        self._latest: EpochOut | None = None

    def add(self, epochs: Sequence[EpochOut]) -> None:
        """Epochs up to the one that the run's tag names are there already."""
        for epoch in epochs:
            self._latest = epoch
            if epoch.epoch <= int(self._tags.get(_EPOCH, 0)):
                continue
            time, values = _milliseconds(epoch.created_at), scalars(self._job, epoch)
            metrics = [Metric(name, value, time, epoch.epoch) for name, value in values.items()]
            batches = [metrics[first : first + _MOST_METRICS] for first in range(0, len(metrics), _MOST_METRICS)]
            with _told(self._url):
                for batch in batches:
                    tags = [RunTag(_EPOCH, str(epoch.epoch))] if batch is batches[-1] else []
                    self._client.log_batch(self._id, batch, tags=tags)

    def end(self, job: JobOut) -> None:
        """Store the files, and the end if the job has ended. A run with the same end is complete."""
        finished = str(job.finished_at)
        if job.finished_at is not None and self._tags.get(_FINISHED) == finished:
            return
        with _told(self._url):
            self._store_files(job)
            self._client.set_tag(self._id, "dartboard.status", str(job.status))
            if job.finished_at is not None:
                self._client.set_terminated(self._id, _ENDS[job.status], _milliseconds(job.finished_at))
                self._client.set_tag(self._id, _FINISHED, finished)

    def _store_files(self, job: JobOut) -> None:
        self._client.log_dict(self._id, job.spec, "spec.json")
        if (cell := genotype(job, self._latest)) is not None:
            self._client.log_dict(self._id, dict(cell), "genotype.json")
        if job.result is not None:
            self._client.log_dict(self._id, job.result, "result.json")
        if "checkpoint" in job.links and job.kind != JobKind.SCORE:
            self._store_download(job, "torch", "checkpoint/checkpoint.pt")
        if job.kind == JobKind.EVALUATION:  # the module reads the weights of its own name
            self._store_download(job, "pytorch", "model/network.py")
            self._store_download(job, "safetensors", "model/network.safetensors")

    def _store_download(self, job: JobOut, form: str, to: str) -> None:
        """Store a file of the job if there is one: none before the first epoch, no module of an own operation."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = self._dartboard.download_checkpoint(job.id, Path(folder) / Path(to).name, format_=form)
            except ProblemError as error:
                if error.status not in (404, 409, 422):
                    raise
            else:
                self._client.log_artifact(self._id, str(path), str(Path(to).parent))


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Name the server in MLflow's errors."""
    try:
        yield
    except MlflowException as error:
        raise DartboardError(f"MLflow at {url}: {error}") from error
