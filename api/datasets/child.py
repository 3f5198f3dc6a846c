"""Runs `api.datasets.check` in a process of its own and waits for what it says."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import structlog

import api
from api.datasets.limits import Limits

_CODE: Final = Path(api.__file__).resolve().parent.parent
# It reads what strangers packed: it gets no secret of ours to lose.
_KEPT: Final = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_log = structlog.get_logger(__name__)


async def run_check(
    source: Path, work: Path, *, size: int | None, limits: Limits, within_seconds: float
) -> dict[str, Any]:
    """What `check` found; an `error` also when it died or took too long. The packed file is work/packed."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with (work / "stderr").open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "api.datasets.check",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            cwd=_CODE,
            # Threads of a numeric library would take memory and gain nothing.
            env={**environment, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(within_seconds):
            # The pipe stays open: its closing tells the child that we are gone.
            process.stdin.write(_order(source, work, size, limits))
            said = await process.stdout.read()
            await process.wait()
    except TimeoutError:
        return {"error": f"checking it took longer than {within_seconds:,.0f} s: split the set, or scale it down"}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process.stdin.close()
    if process.returncode == 0:
        found: dict[str, Any] = json.loads(said)
        return found
    trace = (work / "stderr").read_text(errors="replace")[-4000:]
    _log.error("dataset_check_died", code=process.returncode, stderr=trace)
    return {"error": f"the check broke down (exit code {process.returncode}); the service's log has the details"}


def _order(source: Path, work: Path, size: int | None, limits: Limits) -> bytes:
    order = {
        # The child works elsewhere.
        "source": str(source.absolute()),
        "folder": source.is_dir(),
        "work": str(work.absolute()),
        "size": size,
        "limits": asdict(limits),
    }
    return json.dumps(order).encode() + b"\n"
