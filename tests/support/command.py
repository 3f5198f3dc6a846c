"""The command, called in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import pytest

from api.schemas.jobs import JobOut
from client.cli import call
from tests.support.command_tree import HOSTILE

# Everything at once; the service refuses such names today, and older ones have stored them.
NAME: Final = "".join(text for text in HOSTILE if "\n" not in text)
POOL: Final = "hostile"


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


class Caller:
    """Calls the command in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Outcome:
        self._capsys.readouterr()
        code = call(arguments)
        out, err = self._capsys.readouterr()
        return Outcome(code, out, err)


@dataclass(frozen=True)
class Furnished:
    """Jobs whose every free text is hostile."""

    succeeded: JobOut
    failed: JobOut
    study: JobOut
    waiting: JobOut
    checkpoint: UUID
    """An uploaded one."""
