"""Runs `api.datasets.check` in a process of its own and waits for what it says."""

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
    """What `check` found; an `error` also when it died or took too long. The packed file is work/packed.

    wanted: the `size` and `kind` that were asked for, each None for none.
    """
    order = _order(source, work, limits) | wanted
    try:
        found = await ask("api.datasets.check", order, stderr=work / "stderr", within_seconds=within_seconds)
    except TimeoutError:
        return {"error": f"checking it took longer than {within_seconds:,.0f} s: split the set, or scale it down"}
    except ChildDiedError as error:
        _log.error("dataset_check_died", code=error.code, stderr=error.trace)
        return {"error": f"the check broke down (exit code {error.code}); the service's log has the details"}
    # It holds names out of the archive, and is stored.
    answer: dict[str, Any] = printable_json(found)
    return answer


def _order(source: Path, work: Path, limits: Limits) -> dict[str, Any]:
    return {
        # The child works elsewhere.
        "source": str(source.absolute()),
        "folder": source.is_dir(),
        "work": str(work.absolute()),
        "limits": asdict(limits),
    }
