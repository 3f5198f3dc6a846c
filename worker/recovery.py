"""Reports the attempt of a dead child as lost at once, before its lease expires."""

from __future__ import annotations

import threading

import structlog

from api.schemas.jobs import Failure
from api.schemas.worker import Fail
from worker.api_client import UnreachableError, WorkerApi, WorkerApiError
from worker.attempt_dir import AttemptFolder, Leftover
from worker.retry import until_answered
from worker.settings import WorkerSettings

_log = structlog.get_logger(__name__)
_PATIENCE_SECONDS = 60.0


def report_lost(settings: WorkerSettings, why: str) -> threading.Thread | None:
    """Report the attempt whose trace is in the worker's folder as lost, in a thread; None without a trace.

    Call it only while no child runs an attempt: when the main process starts, and when its child has died.
    """
    folder = AttemptFolder(settings.worker_state)
    leftover = folder.leftover()
    folder.clear()
    if leftover is None:
        return None
    thread = threading.Thread(target=_tell, args=(settings, leftover, why), name="report-lost", daemon=True)
    thread.start()
    return thread


def _tell(settings: WorkerSettings, leftover: Leftover, why: str) -> None:
    report = Fail(outcome="lost", error=Failure(type="WorkerLost", message=why))
    with WorkerApi(settings.url, settings.worker_key.get_secret_value()) as api:
        attempt = api.attempt(leftover.attempt_id, leftover.token)
        try:
            until_answered(lambda: attempt.fail(report), patience=_PATIENCE_SECONDS)
            _log.info("lost_attempt_reported", attempt=leftover.attempt_id)
        except UnreachableError as error:
            _log.warning("lost_attempt_not_reported", attempt=leftover.attempt_id, error=str(error))
        except WorkerApiError as error:
            _log.info("lost_attempt_already_over", attempt=leftover.attempt_id, answer=str(error))
