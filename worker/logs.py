"""Structured logs: one JSON object a line on standard error, from structlog and from everybody else."""

from __future__ import annotations

import logging
import sys

import structlog


def configure() -> None:
    """Set up both."""
    processors: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*processors, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer(), foreign_pre_chain=processors)
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
