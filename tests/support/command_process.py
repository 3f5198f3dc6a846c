"""The command as a process of its own, with a pipe, a closed pipe or a terminal for its output."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any


def start(*arguments: str, stdout: int | IO[Any] = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
    """Its standard error is a pipe."""
    command = [sys.executable, "-m", "client.cli", *arguments]
    return subprocess.Popen(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=_surroundings(environment), bufsize=1
    )


def into_closed_pipe(*arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and standard error of a command whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with start(*arguments, stdout=writer, **environment) as process:
        os.close(writer)
        _, err = process.communicate()
    return process.returncode, err


@dataclass(frozen=True)
class Shown:
    """What a terminal was sent."""

    code: int
    text: str


def at_terminal(*arguments: str, columns: int = 80, **environment: str) -> Shown:
    """The command at a terminal that is so many columns wide."""
    ours, its = pty.openpty()
    surroundings = _surroundings({"TERM": "xterm-256color", "COLUMNS": str(columns), **environment})
    command = [sys.executable, "-m", "client.cli", *arguments]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=surroundings) as process:
        os.close(its)
        sent = bytearray()
        while piece := _read(ours):
            sent += piece
    os.close(ours)
    return Shown(process.returncode, sent.decode().replace("\r\n", "\n"))


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's end of a terminal
        return b""


def _surroundings(environment: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return {**own, **environment}
