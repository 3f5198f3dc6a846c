"""Configures structured logging to standard error, for structlog and all libraries.

One JSON object per line, or readable lines on a terminal; `DARTBOARD_LOG_FORMAT=json` or `console` overrides. Logging
never raises: a line that cannot be formatted or written, as on a full disk, is dropped and counted.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from io import TextIOBase
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

FORMATS: Final = ("json", "console")
_VARIABLE: Final = "DARTBOARD_LOG_FORMAT"


class _Lost:
    """Counts the lines that this process has lost."""

    count = 0


def configure(*first: Processor) -> None:
    """Set up logging. first: processors that add context to every line. Raises ValueError for an unknown format."""
    add: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        *first,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Processor]
    if _format() == "json":
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # The default formatter prints local variables, secrets among them.
        plain = structlog.dev.plain_traceback
        render = [structlog.dev.ConsoleRenderer(colors=_at_terminal(), exception_formatter=plain)]
    stream = _Unfailing(sys.stderr or open(os.devnull, "w"))  # noqa: SIM115 - open as long as the process lives
    structlog.configure(
        processors=[_unfailing([*add, *render])],
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, stream)),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(stream)
    theirs = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=theirs, foreign_pre_chain=[*add, structlog.stdlib.add_logger_name]
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def lost_lines() -> int:
    """Number of lines that this process could not write."""
    return _Lost.count


class _Unfailing(TextIOBase):
    """A stream that drops lines its target refuses. Each line ends with one `flush`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failed = False

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):  # disk full, no reader; closed
            self._failed = True
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._failed = True
        if self._failed:
            self._failed = False
            _Lost.count += 1


class _Handler(logging.StreamHandler[_Unfailing]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Count a line that cannot be formatted."""
        _Lost.count += 1


def _unfailing(processors: Sequence[Processor]) -> Processor:
    """Chain the processors; the chain drops a line when one of them fails."""

    def process(logger: WrappedLogger, method: str, event: EventDict) -> Any:
        made: Any = event
        try:
            for processor in processors:
                made = processor(logger, method, made)
        except structlog.DropEvent:
            raise
        except Exception:  # for example, a value whose repr raises
            _Lost.count += 1
            raise structlog.DropEvent from None
        return made

    return process


def _at_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()  # None: closed before the start


def _format() -> str:
    wanted = os.environ.get(_VARIABLE)
    if not wanted:
        return "console" if _at_terminal() else "json"
    if wanted not in FORMATS:
        raise ValueError(f"{_VARIABLE}={wanted}: there are {' and '.join(FORMATS)}; without it a terminal decides")
    return wanted
