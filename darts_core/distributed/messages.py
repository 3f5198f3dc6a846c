"""Serialises messages between a run's parent and its ranks: JSON, and tensors as a checkpoint's bytes."""

from __future__ import annotations

import io
import json
import traceback
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

import torch

from darts_core import errors
from darts_core.errors import ConfigError, DartsError, Problem
from darts_core.training.reports import EpochReport

# A first byte that no JSON object starts with.
_TENSORS = b"\x00"


class RankTraceback(Exception):
    """The cause of a rank's error: its traceback."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


def send(pipe: Connection, kind: str, **values: Any) -> None:
    """values: JSON-serialisable."""
    pipe.send_bytes(json.dumps({"kind": kind, **values}).encode())


def send_tensors(pipe: Connection, kind: str, value: dict[str, Any]) -> None:
    """values: as in a checkpoint."""
    buffer = io.BytesIO()
    torch.save({"kind": kind, "value": value}, buffer)
    pipe.send_bytes(_TENSORS + buffer.getbuffer())


def receive(pipe: Connection) -> dict[str, Any]:
    """Block for the next message. Raises EOFError or OSError when the other side is gone."""
    data = pipe.recv_bytes()
    if data[:1] == _TENSORS:
        message = torch.load(io.BytesIO(memoryview(data)[1:]), weights_only=True)
    else:
        message = json.loads(data)
    assert isinstance(message, dict)
    return message


def report_to_message(report: EpochReport) -> dict[str, Any]:
    return {
        "checkpoint": report.checkpoint,
        "seconds": report.seconds,
        "stopped_early": report.stopped_early,
        "warnings": list(report.warnings),
    }


def report_of(message: dict[str, Any]) -> EpochReport:
    """The inverse of `report_to_message`."""
    return EpochReport(message["checkpoint"], message["seconds"], message["stopped_early"], tuple(message["warnings"]))


def error_to_message(error: BaseException) -> dict[str, Any]:
    """Serialise type, message, traceback, field problems and errno."""
    return {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
        "problems": [asdict(p) for p in error.problems] if isinstance(error, ConfigError) else [],
        "errno": error.errno if isinstance(error, OSError) else None,
    }


def error_of(message: dict[str, Any]) -> Exception:
    """Rebuild the error with its traceback as cause; an unknown type becomes a RuntimeError that names it."""
    name, text = message["type"], message["message"]
    known = getattr(errors, name, None)
    error: Exception
    if message["problems"]:
        error = ConfigError([Problem(tuple(p["loc"]), p["msg"]) for p in message["problems"]])
    elif isinstance(known, type) and issubclass(known, DartsError):
        error = known(text)
    elif name == "OutOfMemoryError":
        error = torch.OutOfMemoryError(text)
    elif name == "MemoryError":
        error = MemoryError(text)
    elif message["errno"] is not None:
        error = OSError(message["errno"], text)
    else:
        error = RuntimeError(f"{name}: {text}")
    error.__cause__ = RankTraceback(message["traceback"])
    return error
