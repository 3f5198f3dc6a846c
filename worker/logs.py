"""The API's structured logs, with what this process works on in every line, whichever of its threads writes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.typing import EventDict, WrappedLogger

from darts_core.runtime import logs

_about: dict[str, str] = {}


def configure(**about: str) -> None:
    """Set up; `about` stands in all lines of this process."""
    _about.update(about)
    logs.configure(_add)


@contextmanager
def working_on(**about: str) -> Iterator[None]:
    """Say so in all lines until then: a process has one attempt at a time, with threads beside it."""
    _about.update(about)
    try:
        yield
    finally:
        for name in about:
            _about.pop(name, None)


def _add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {**_about, **event}
