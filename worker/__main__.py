"""`python -m worker`: work until told to stop."""

from __future__ import annotations

import os
import sys
from typing import Any

import structlog
from celery.signals import task_failure, worker_ready, worker_shutting_down
from pydantic import ValidationError

from api.schemas.worker import wakeup_queue
from worker.folder import lock_state
from worker.lifeline import PARENT_VARIABLE
from worker.logs import configure
from worker.settings import WorkerSettings, get_settings


def main() -> int:
    """Start the Celery worker in this process; its child does the work."""
    configure()
    try:
        settings = get_settings()
    except ValidationError as error:
        for problem in error.errors():
            print(f"DARTBOARD_{problem['loc'][0]}".upper() + f": {problem['msg']}", file=sys.stderr)
        print("a worker needs DARTBOARD_URL, REDIS_URL and DARTBOARD_WORKER_KEY of the service", file=sys.stderr)
        return 2
    settings.worker_state.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = lock_state(settings.worker_state)
    except BlockingIOError:
        print(
            f"another worker works in {settings.worker_state}: give each its own DARTBOARD_WORKER_STATE and "
            "DARTBOARD_WORKER_NAME",
            file=sys.stderr,
        )
        return 2
    settings.drain_flag.unlink(missing_ok=True)
    _connect_signals(settings)
    os.environ[PARENT_VARIABLE] = str(os.getpid())

    from worker.app import app

    app.worker_main(
        [
            "worker",
            f"--queues={wakeup_queue(settings.pool, settings.gpus)}",
            f"--hostname={settings.worker_name}@%h",
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )
    lock.close()
    return 0


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
        # The child sees the flag with its next heartbeat, gives the job
        # back and returns, and Celery's warm shutdown goes on.
        presence.end()
        settings.drain_flag.touch()

    @task_failure.connect(weak=False)  # type: ignore[untyped-decorator]
    def child_died(exception: BaseException | None = None, **_: Any) -> None:
        structlog.get_logger(__name__).warning("child_died", error=str(exception))
        report_lost(settings, f"the working process of {settings.worker_name} died ({exception})")


if __name__ == "__main__":
    sys.exit(main())
