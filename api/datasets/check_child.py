"""Runs `api.datasets.check_upload` in a child process and returns its result."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from api.datasets.archive_limits import Limits
from api.sandbox import ChildDiedError, ask
from darts_core.printable import printable_json

_log = structlog.get_logger(__name__)


async def run_check(
    source: Path, work: Path, wanted: dict[str, Any], *, limits: Limits, within_seconds: float
) -> dict[str, Any]:
    """The result of `check`; also an `error` if the child died or timed out. The packed file is work/packed.

    wanted: the requested `size` and `kind`; None for no preference.
    """
    order = _order(source, work, limits) | wanted
    try:
        found = await ask("api.datasets.check_upload", order, stderr=work / "stderr", within_seconds=within_seconds)
    except TimeoutError:
        return {"error": f"the check took longer than {within_seconds:,.0f} s: split the set, or scale it down"}
    except ChildDiedError as error:
        _log.error("dataset_check_died", code=error.code, stderr=error.trace)
        return {"error": f"the check crashed (exit code {error.code}); the service's log has the details"}
    # The result is stored and contains names from the archive.
    answer: dict[str, Any] = printable_json(found)
    return answer


def _order(source: Path, work: Path, limits: Limits) -> dict[str, Any]:
    return {
        # The child has another working directory.
        "source": str(source.absolute()),
        "folder": source.is_dir(),
        "work": str(work.absolute()),
        "limits": asdict(limits),
    }
