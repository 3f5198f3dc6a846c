"""Structured logs on standard error, from structlog and from everybody else: one JSON object a line, or for a person at
a terminal a line of words. `DARTBOARD_LOG_FORMAT=json` or `console` decides otherwise.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

import structlog
from structlog.typing import Processor

FORMATS: Final = ("json", "console")
_VARIABLE: Final = "DARTBOARD_LOG_FORMAT"


def configure(*first: Processor) -> None:
    """Set up both. first: what adds to every line what it is about. Raises ValueError for a format there is not."""
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
        render = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    structlog.configure(
        processors=[*add, *render],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    theirs = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=theirs, foreign_pre_chain=[*add, structlog.stdlib.add_logger_name]
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _format() -> str:
    wanted = os.environ.get(_VARIABLE)
    if not wanted:
        return "console" if sys.stderr.isatty() else "json"
    if wanted not in FORMATS:
        raise ValueError(f"{_VARIABLE}={wanted}: there are {' and '.join(FORMATS)}; without it a terminal decides")
    return wanted
