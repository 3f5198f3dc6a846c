"""Work on what strangers sent, in a process of its own: neither its time nor its memory is the API's.

The order goes to it as one line of JSON on standard input, the answer comes as one on standard output. `ask` is the
API's side, `serve` the child's.
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
# It reads what strangers packed: it gets no secret of ours to lose.
_KEPT: Final = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_SHOWN_BYTES: Final = 4000


class ChildDiedError(Exception):
    """The child ended without an answer. trace: the end of what it wrote to standard error."""

    def __init__(self, code: int | None, trace: str) -> None:
        super().__init__(f"exit code {code}")
        self.code, self.trace = code, trace


async def ask(module: str, order: dict[str, Any], *, stderr: Path, within_seconds: float) -> dict[str, Any]:
    """What `python -m module` answers. stderr: a new file for its complaints.

    Raises TimeoutError and ChildDiedError; the process is gone afterwards, also when this is cancelled.
    """
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with stderr.open("wb") as complaints:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=complaints,
            cwd=_CODE,
            # Threads of a numeric library would take memory and gain nothing.
            env={**environment, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(within_seconds):
            # The pipe stays open: its closing tells the child that we are gone.
            process.stdin.write(json.dumps(order).encode() + b"\n")
            said = await process.stdout.read()
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process.stdin.close()
    if process.returncode != 0:
        raise ChildDiedError(process.returncode, _end_of(stderr))
    answer: dict[str, Any] = json.loads(said)
    return answer


def serve(work: Callable[[dict[str, Any]], dict[str, Any]], most_memory: int) -> int:
    """Limit this process (most_memory: bytes of address space), do the one order, answer it; the exit code."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_leave_with_the_parent, daemon=True).start()
    os.nice(5)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = most_memory if hard == resource.RLIM_INFINITY else min(most_memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    sys.stdout.write(json.dumps(work(order)) + "\n")
    sys.stdout.flush()
    return 0


def _leave_with_the_parent() -> None:
    """Its end of the pipe closes when it dies, however it dies."""
    # Not through sys.stdin, whose lock the interpreter wants at its end.
    os.read(0, 1)
    os._exit(1)


def _end_of(file: Path) -> str:
    with file.open("rb") as source:
        source.seek(max(0, file.stat().st_size - _SHOWN_BYTES))
        return source.read().decode(errors="replace")
