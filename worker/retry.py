"""Repeats a call to an API that does not answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from darts_core.runtime.backoff import Backoff
from worker.api_client import UnreachableError

_R = TypeVar("_R")


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def until_answered(
    call: Callable[[], _R],
    *,
    wait: Callable[[float], bool] = _sleep,
    patience: float = math.inf,
    backoff: Backoff | None = None,
    tell: Callable[[UnreachableError], None] = lambda error: None,
) -> _R:
    """Call until the API answers. Raises the last UnreachableError when `wait` returns True or `patience` is over.

    wait: lets so many seconds pass, and returns whether to give up. patience: seconds. tell: called before each wait.
    """
    backoff, deadline = backoff or Backoff(), time.monotonic() + patience
    while True:
        try:
            return call()
        except UnreachableError as error:
            if time.monotonic() > deadline:
                raise
            tell(error)
            if wait(backoff.pause()):
                raise
