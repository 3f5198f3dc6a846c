"""Runs `api.checkpoints.inspect_child` in a process of its own: files of a few bytes can keep it busy for hours."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import structlog

from api.artifacts import Artifacts
from api.checkpoints.inspect_child import Examined, Told
from api.http.problems import invalid
from api.sandbox import ChildDiedError, ask

# A large checkpoint takes a second or two.
WITHIN_SECONDS: Final = 60.0
_AT_ONCE: Final = 4
_log = structlog.get_logger(__name__)


class Examiner:
    """A few at a time, so that no crowd of uploads takes the machine's memory."""

    def __init__(self, artifacts: Artifacts, within_seconds: float = WITHIN_SECONDS) -> None:
        self._artifacts, self._within = artifacts, within_seconds
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def examine(
        self, path: Path, name: str, genotype: str | dict[str, Any] | None, told: Told | None = None
    ) -> Examined:
        """Raises ProblemError 422 for what cannot be a checkpoint, and for what is not examined in time."""
        order = {"path": _absolute(path), "name": name, "genotype": genotype, "told": asdict(told or Told())}
        try:
            async with self._turns:
                with self._artifacts.workspace() as work:
                    found = await ask(
                        "api.checkpoints.inspect_child", order, stderr=work / "stderr", within_seconds=self._within
                    )
        except TimeoutError as error:
            said = f"examining {name} took longer than {self._within:g} s: no checkpoint does"
            raise invalid("file", said) from error
        except ChildDiedError as error:
            _log.error("checkpoint_examination_died", code=error.code, stderr=error.trace)
            said = f"examining {name} broke down (exit code {error.code}); the service's log has the details"
            raise invalid("file", said) from error
        if "error" in found:
            raise invalid(found["field"], found["error"])
        return Examined(**found)


def _absolute(path: Path) -> str:
    # The child works elsewhere.
    return str(path.absolute())
