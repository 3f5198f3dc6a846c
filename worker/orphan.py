"""Tells whether a child's parent died before the child was up."""

from __future__ import annotations

import os
from collections.abc import Mapping

PARENT_VARIABLE = "DARTBOARD_WORKER_PID"


def is_orphan(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the main process that started this child is gone.

    Celery has the kernel kill a child with its parent, but only once the child is up. This finds a parent that died
    before that.
    """
    return environment.get(PARENT_VARIABLE) not in (None, str(os.getppid()))
