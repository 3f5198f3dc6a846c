"""Processes untrusted files in a child process, so that they cost the API neither time nor memory.

The child reads an order as one line of JSON on standard input and writes one line as its result. `ask` is the API's
side, `serve` the child's.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import api

_CODE: Final = Path(api.__file__).resolve().parent.parent
# The child reads untrusted files, so its environment holds no secrets.
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_SHOWN_BYTES: Final = 4000


class ChildDiedError(Exception):
    """The child ended without a result. trace: the end of its standard error."""

    def __init__(self, code: int | None, trace: str) -> None:
        super().__init__(f"exit code {code}")
        self.code, self.trace = code, trace


async def ask(module: str, order: dict[str, Any], *, stderr: Path, within_seconds: float) -> dict[str, Any]:
    """The result of `python -m module`. stderr: a new file for the child's standard error.

    Raises TimeoutError and ChildDiedError. The child has ended on return, also after a cancellation.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with stderr.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=_CODE,
            # Threads of numeric libraries would take memory without benefit.
            env={**environment, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(within_seconds):
            # The pipe stays open: if it closes, the child knows that its parent has died.
            process.stdin.write(json.dumps(order).encode() + b"\n")
            output = await process.stdout.read()
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process.stdin.close()
    if process.returncode != 0:
        raise ChildDiedError(process.returncode, _end_of(stderr))
    answer: dict[str, Any] = json.loads(output)
    return answer


def serve(work: Callable[[dict[str, Any]], dict[str, Any]], most_memory: int) -> int:
    """Limit this process to `most_memory` bytes of address space and process the one order; returns the exit code."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    os.nice(5)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = most_memory if hard == resource.RLIM_INFINITY else min(most_memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    sys.stdout.write(json.dumps(work(order)) + "\n")
    sys.stdout.flush()
    return 0


def _exit_with_parent() -> None:
    """Exit when the parent's end of the pipe closes, however the parent dies."""
    # Not via sys.stdin, whose lock the interpreter takes at exit.
    os.read(0, 1)
    os._exit(1)


def _end_of(file: Path) -> str:
    with file.open("rb") as source:
        source.seek(max(0, file.stat().st_size - _SHOWN_BYTES))
        return source.read().decode(errors="replace")
