"""Runs a Celery worker in this process, whose child runs the jobs."""

from __future__ import annotations

import os
from typing import Any

import structlog
from celery.signals import task_failure, worker_ready, worker_shutting_down

from api.schemas.worker import wakeup_queue
from worker.orphan import PARENT_VARIABLE
from worker.prometheus import keep
from worker.settings import WorkerSettings


def serve(settings: WorkerSettings) -> None:
    """Work until SIGTERM or SIGINT."""
    settings.drain_flag.unlink(missing_ok=True)
    keep(settings.worker_state, "main")
    _connect_signals(settings)
    os.environ[PARENT_VARIABLE] = str(os.getpid())

    from worker.app import app

    app.worker_main(
        [
            "worker",
            f"--queues={wakeup_queue(settings.pools, settings.gpus)}",
            f"--hostname={settings.worker_name}@%h",
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )


def _connect_signals(settings: WorkerSettings) -> None:
    from worker.presence import PresenceThread
    from worker.recovery import report_lost

    presence = PresenceThread(settings)

    @worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
    def ready(**_: Any) -> None:
        report_lost(settings, f"the process of {settings.worker_name} died")
        presence.start()

    @worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
    def drain(**_: Any) -> None:
        # The child polls the flag, releases its job and returns; then Celery's warm shutdown continues.
        presence.end()
        settings.drain_flag.touch()

    @task_failure.connect(weak=False)  # type: ignore[untyped-decorator]
    def child_died(exception: BaseException | None = None, **_: Any) -> None:
        structlog.get_logger(__name__).warning("child_died", error=str(exception))
        report_lost(settings, f"the working process of {settings.worker_name} died ({exception})")
