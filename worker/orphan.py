"""A child that was started by a process which is dead by now must not live on."""

from __future__ import annotations

import os
from collections.abc import Mapping

PARENT_VARIABLE = "DARTBOARD_WORKER_PID"


def is_orphan(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the main process that started this child is gone.

    Celery asks the kernel to kill a child with its parent, but only once the child is up: a parent that died before
    that is noticed here.
    """
    return environment.get(PARENT_VARIABLE) not in (None, str(os.getppid()))
