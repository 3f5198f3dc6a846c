"""Defines the one Celery task, which claims and runs jobs while any is queued."""

from __future__ import annotations

import os
import secrets
import time
from typing import Any

import structlog
from celery.signals import worker_process_init

from darts_core.runtime.backoff import Backoff
from worker.api_client import SupersededError, WorkerApi, WorkerApiError
from worker.app import app
from worker.logs import configure
from worker.orphan import is_orphan
from worker.prometheus import keep
from worker.retry import until_answered
from worker.settings import WorkerSettings, get_settings

_log = structlog.get_logger(__name__)
_PATIENCE_SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0


@app.task(name="dartboard.wake", ignore_result=True)  # type: ignore[untyped-decorator]  # celery has no types
def wake() -> None:
    """Claim and run jobs until none fits. After a minute without an answer it leaves that to the next wake-up."""
    settings = get_settings()
    with WorkerApi(settings.url, settings.worker_key.get_secret_value()) as api:
        try:
            while not settings.drain_flag.exists() and _claim_and_run(api, settings):
                pass
        except WorkerApiError as error:
            _log.warning("claim_failed", error=str(error))


def _claim_and_run(api: WorkerApi, settings: WorkerSettings) -> bool:
    """Run one job. Repeats an unanswered claim: the next child would have to import torch first."""
    # Imports torch: in the pool's child, never in the main process.
    from worker.attempt import claim_and_run

    def wait(pause: float) -> bool:
        time.sleep(pause)
        return settings.drain_flag.exists()

    token = secrets.token_urlsafe(32)
    try:
        return until_answered(
            lambda: claim_and_run(api, settings, token),
            wait=wait,
            patience=_PATIENCE_SECONDS,
            backoff=Backoff(_FIRST_PAUSE, _LONGEST_PAUSE),
            tell=lambda error: _log.info("claim_waits", error=str(error)),
        )
    except SupersededError:  # the answer was lost, and the attempt is over
        return True


@worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
def _prepare_child(**_: Any) -> None:
    """Import torch before the first wake-up."""
    if is_orphan():
        os._exit(1)
    settings = get_settings()
    configure(worker=settings.worker_name)
    keep(settings.worker_state, "job")
    import worker.attempt  # noqa: F401
