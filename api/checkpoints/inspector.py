"""Runs `api.checkpoints.inspect_child` in a child process, since a file of a few bytes can keep it busy for hours."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import structlog

from api.artifacts import Artifacts
from api.checkpoints.inspection import Examined, Told
from api.http.problems import invalid
from api.sandbox import ChildDiedError, ask

# A large checkpoint takes a second or two.
WITHIN_SECONDS: Final = 60.0
_AT_ONCE: Final = 4
_log = structlog.get_logger(__name__)


class Examiner:
    """Runs few inspections at a time, so that concurrent uploads do not exhaust the memory."""

    def __init__(self, artifacts: Artifacts, within_seconds: float = WITHIN_SECONDS) -> None:
        self._artifacts, self._within = artifacts, within_seconds
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def examine(
        self, path: Path, name: str, genotype: str | dict[str, Any] | None, told: Told | None = None
    ) -> Examined:
        """Inspect a file. Raises ProblemError 422 if it is not a checkpoint or the inspection times out."""
        order = {"path": _absolute(path), "name": name, "genotype": genotype, "told": asdict(told or Told())}
        try:
            async with self._turns:
                with self._artifacts.workspace() as work:
                    found = await ask(
                        "api.checkpoints.inspect_child", order, stderr=work / "stderr", within_seconds=self._within
                    )
        except TimeoutError as error:
            message = f"examining {name} took longer than {self._within:g} s"
            raise invalid("file", message) from error
        except ChildDiedError as error:
            _log.error("checkpoint_examination_died", code=error.code, stderr=error.trace)
            message = f"examining {name} crashed (exit code {error.code}); the service's log has the details"
            raise invalid("file", message) from error
        if "error" in found:
            raise invalid(found["field"], found["error"])
        return Examined(**found)


def _absolute(path: Path) -> str:
    # The child has another working directory.
    return str(path.absolute())
