"""Runs one attempt, from the claim to its last report."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from api.schemas.worker import (
    Claim,
    Claimed,
    EpochReport,
    Fail,
    Finish,
    PartialReport,
    Release,
    ReportedFile,
    Resume,
)
from darts_core.errors import RankLost, Stopped
from darts_core.families import family_in
from darts_core.files import checkpoints
from darts_core.training.control import Progress, controlled_by
from darts_core.training.stages import listening, stage
from worker import dataset_copies, datasets
from worker.api_client import AttemptApi, RefusedError, WorkerApi, WorkerApiError
from worker.attempt_dir import AttemptFolder
from worker.attempt_log import AttemptLog
from worker.control import AttemptControl, StopReason
from worker.drain import DrainWatch
from worker.failures import failure_of, is_disk_full
from worker.heartbeat import HeartbeatThread
from worker.input_files import Fetcher
from worker.logs import working_on
from worker.prometheus import metrics
from worker.reporter import Reporter
from worker.runners import runner_of
from worker.runners.runner import Report
from worker.saver import Saver
from worker.settings import WorkerSettings

_log = logging.getLogger("dartboard.worker")

# Read before the first job changes it.
_THREADS = torch.get_num_threads()


def claim_and_run(api: WorkerApi, settings: WorkerSettings, token: str) -> bool:
    """Claim one job and run it. Returns whether to claim another one now. Raises WorkerApiError from the claim.

    token: a new secret; the same one repeats a claim that got no answer. The result is False when no queued job fits,
    and when the disk is full: the next job would fail here as well.
    """
    claim = Claim(worker=settings.worker_name, pools=settings.pools, gpus=settings.gpus, threads=_THREADS, token=token)
    claimed = api.claim(claim)
    if claimed is None:
        return False
    attempt = Attempt(claimed, api.attempt(str(claimed.attempt_id), claimed.token), settings)
    attempt.run()
    return not attempt.disk_full


class Attempt:
    """A claimed job. Training runs in the calling thread; heartbeat, saving and reports in threads of their own."""

    def __init__(self, claimed: Claimed, api: AttemptApi, settings: WorkerSettings) -> None:
        self._claimed, self._api, self._settings = claimed, api, settings
        self._folder = AttemptFolder(settings.worker_state)
        self._control = AttemptControl()
        self._reporter = Reporter(api, self._control)
        self._saver = Saver(self._control)
        self._heartbeat = HeartbeatThread(api, self._control, settings, claimed.lease_seconds)
        self._drain_watch = DrainWatch(self._control, settings)
        self._job_log = AttemptLog(self._reporter)
        self._newest_partial: Path | None = None
        self.disk_full = False

    def run(self) -> None:
        """Train to the end or until stopped. Reports the outcome, never raises it."""
        with working_on(job=str(self._claimed.job_id), attempt=str(self._claimed.attempt_id)):
            self._run()

    def _run(self) -> None:
        self._control.begin(_start_of(self._claimed))
        self._heartbeat.start()
        self._drain_watch.start()
        self._reporter.start()
        try:
            with self._logging(), listening(self._control.enter_stage), controlled_by(self._control):
                try:
                    self._folder.open(self._claimed)
                    try:
                        self._train()
                    except Stopped:
                        self._stopped()
                except Exception as error:  # every failure is reported to the job's owner
                    self._failed(error)
            if not self._reporter.close(self._settings.drain_seconds):
                self._undeliverable()
        finally:
            self._drain_watch.end()
            self._heartbeat.end()
            self._saver.close()
            self._folder.clear(self._claimed)

    def _train(self) -> None:
        claimed = self._claimed
        torch.set_num_threads(claimed.threads)
        fetcher, resume_from = Fetcher(self._api, self._control), self._folder.file("resume.pt")
        with stage("downloading: checkpoints"):
            resume = fetcher.checkpoint(claimed.resume, resume_from)
            files = {given.name: self._folder.file(f"input-{given.name}") for given in claimed.inputs}
            inputs = {given.name: fetcher.file(given, files[given.name]) for given in claimed.inputs}
        with self._dataset():
            self._compute(resume, resume_from, inputs)

    @contextmanager
    def _dataset(self) -> Iterator[None]:
        """Fetch the uploaded data set, if the job has one, and keep it within the context."""
        checksum = family_in(self._claimed.spec).uploaded_checksum(self._claimed.spec)
        if checksum is None:
            yield
            return
        settings = self._settings
        with dataset_copies.in_use(settings.data_root, checksum):
            with stage("downloading: data set"):
                datasets.fetch(self._api, checksum, settings.data_root, self._control)
            dataset_copies.clear(
                settings.data_root, days=settings.dataset_copy_days, most_bytes=settings.dataset_copy_bytes
            )
            yield

    def _compute(self, resume: Resume | None, resume_from: Path, inputs: dict[str, Path]) -> None:
        claimed = self._claimed
        start = f" from epoch {resume.epoch}" if resume else ""
        if resume and resume.step:
            start += f" and {resume.step} steps"
        _log.info("attempt %d on %s%s", claimed.attempt, self._settings.worker_name, start)
        if claimed.pause_after and resume and resume.epoch >= claimed.pause_after:
            self._release("pause")  # the attempt that reached the epoch was lost before it could
            return
        self._control.on_checkpoint = self._report_partial
        runner = runner_of(claimed.kind)
        for report in runner(
            claimed.spec,
            data_root=self._settings.data_root,
            resume_from=resume_from if resume else None,
            inputs=inputs,
            control=self._control,
            gpus=self._settings.gpus,
        ):
            self._report_epoch(report)
            is_last = report.ends or report.epoch >= int(claimed.spec["epochs"])
            pausing = self._control.pause_after_epoch or report.epoch == claimed.pause_after
            if pausing and not is_last:
                self._saver.settle()
                self._release("pause")
                return
            if self._control.should_stop() and not (is_last and self._control.reason is StopReason.PREEMPTED):
                raise Stopped
        self._saver.settle()
        self._ending()
        self._reporter.send("finish", lambda api, n: api.finish(Finish(n=n)))

    def _report_epoch(self, report: Report) -> None:
        """Save the epoch's files here, then let the reporter upload them and report the epoch, in this order."""
        (path, write_main), *rest = ((self._folder.file(name), write) for name, write in report.files.items())
        further = dict(rest)
        own = {"epoch": report.epoch, "metrics": report.metrics, "seconds": report.seconds, **report.fields}
        others: list[ReportedFile] = []
        ended = time.monotonic()

        def save(to: Path) -> str:
            others[:] = [ReportedFile(name=other.name, sha256=write(other)) for other, write in further.items()]
            return write_main(to)

        def deliver(sha256: str, api: AttemptApi, n: int) -> None:
            for file in (*further, path):
                if file.exists():  # a repeated delivery finds no file that was stored before
                    api.upload(file)
            named = {"checkpoint": path.name, "sha256": sha256, "files": others}
            api.report_epoch(EpochReport(n=n, **own, **named, waited=time.monotonic() - ended))
            for file in (*further, path):
                file.unlink(missing_ok=True)

        metrics().epoch_seconds.labels(self._claimed.kind).observe(report.seconds)
        _log.info("epoch %d: %s, %.1f s", report.epoch, _summary(report.metrics), report.seconds)
        self._saver.save(
            save,
            path,
            lambda sha256: self._reporter.send(f"epoch {report.epoch}", partial(deliver, sha256)),
        )

    def _report_partial(self, checkpoint: checkpoints.Checkpoint) -> None:
        """Save and queue a checkpoint from the middle of an epoch. While the API is away only the newest one waits."""
        epoch, step = checkpoint["epoch"], checkpoint["resume"]["open"]["steps"]
        path = self._newest_partial = self._folder.file(f"partial-{epoch}-{step}.pt")

        def deliver(sha256: str, api: AttemptApi, n: int) -> None:
            if path.exists() and path == self._newest_partial:
                api.upload(path)
                api.report_partial(PartialReport(n=n, epoch=epoch, step=step, checkpoint=path.name, sha256=sha256))
                _log.info("saved in the middle of epoch %d, after %d steps", epoch + 1, step)
            path.unlink(missing_ok=True)

        self._saver.save(
            lambda to: checkpoints.save(checkpoint, to),
            path,
            lambda sha256: self._reporter.send(f"step {step} of epoch {epoch + 1}", partial(deliver, sha256)),
        )

    def _stopped(self) -> None:
        self._saver.settle()
        if self._control.reason is StopReason.DRAIN:
            self._release("shutdown")
        elif self._control.reason is StopReason.PREEMPTED:
            self._release("pause")

    def _failed(self, error: Exception) -> None:
        if self._control.reason is StopReason.SUPERSEDED:
            return
        if is_disk_full(error):
            self.disk_full = True
            where = f"{self._settings.worker_state} or {self._settings.data_root} on {self._settings.worker_name}"
            self._release("disk_full", f"{where}: free some space there and resume the job ({error})")
            return
        _log.error("%s: %s", type(error).__name__, error)
        failure = failure_of(error, self._job_log.tail)
        # As when this process dies: the job resumes from its last epoch, up to `max_attempts` times.
        outcome: Literal["failed", "lost"] = "lost" if isinstance(error, RankLost) else "failed"
        self._ending()
        self._reporter.send("fail", lambda api, n: api.fail(Fail(n=n, outcome=outcome, error=failure)))

    def _release(self, reason: str, detail: str = "") -> None:
        self._ending()
        release = {"reason": reason, "detail": detail[:2000]}
        self._reporter.send("release", lambda api, n: api.release(Release.model_validate({"n": n, **release})))

    def _undeliverable(self) -> None:
        """Report the failure past the queue, which a refused report blocks."""
        refusal = self._reporter.refusal
        if not isinstance(refusal, RefusedError):
            return
        self._ending()
        try:
            self._api.fail(Fail(outcome="failed", error=failure_of(refusal, self._job_log.tail)))
        except WorkerApiError as error:  # the lease will expire
            _log.warning("the API refuses the failure report too: %s", error)

    def _ending(self) -> None:
        self._heartbeat.expect_the_end()

    @contextmanager
    def _logging(self) -> Iterator[None]:
        """Copy the log lines of darts_core and the worker, and Python's warnings, to the job's log."""
        logging.captureWarnings(True)
        loggers = [logging.getLogger(name) for name in ("dartboard", "darts_core", "py.warnings")]
        for logger in loggers:
            logger.setLevel(logging.INFO)
            logger.addHandler(self._job_log)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeHandler(self._job_log)


def _start_of(claimed: Claimed) -> Progress:
    done, steps = (claimed.resume.epoch, claimed.resume.step) if claimed.resume else (0, 0)
    epochs = max(done + 1, int(claimed.spec.get("epochs", 1)))
    return Progress(epoch=done + 1, epochs=epochs, step=steps, steps=steps)


def _summary(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in metrics.items())
