"""Adds the worker, its job and its attempt to every log line of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.typing import EventDict, WrappedLogger

from darts_core.runtime import logs

_about: dict[str, str] = {}


def configure(**about: str) -> None:
    """Set up logging with `about` in every line of this process."""
    _about.update(about)
    logs.configure(_add)


@contextmanager
def working_on(**about: str) -> Iterator[None]:
    """Add `about` to every line of all threads within the block: a process has one attempt at a time."""
    _about.update(about)
    try:
        yield
    finally:
        for name in about:
            _about.pop(name, None)


def _add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {**_about, **event}
