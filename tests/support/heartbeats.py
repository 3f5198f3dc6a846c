"""Keeps a claimed job alive while a test does something else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from api.schemas.worker import Heartbeat
from worker.api_client import AttemptApi, SupersededError


@contextmanager
def heartbeats(attempt: AttemptApi) -> Iterator[threading.Semaphore]:
    """Renew the lease several times a second, as a worker does; each taken heartbeat releases the semaphore."""
    over, taken, began = threading.Event(), threading.Semaphore(0), time.monotonic()

    def beat() -> None:
        while not over.wait(0.1):
            try:
                attempt.heartbeat(Heartbeat(seconds=time.monotonic() - began))
            except SupersededError:
                return
            taken.release()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        over.set()
        thread.join()
