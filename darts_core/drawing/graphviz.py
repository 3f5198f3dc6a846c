"""Runs Graphviz from the wheel graphviz-pure."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from functools import cache
from typing import Any, Final

from darts_core.errors import DrawingError

_PROGRAM: Final = "graphviz-pure"
_SECONDS: Final = 20


def laid_out(dot: str) -> dict[str, Any]:
    """Return Graphviz's JSON for the graph, with `pos` of every node and edge in points. Raises DrawingError."""
    try:
        done = subprocess.run(
            [_program(), "-Kdot", "-Tjson0"], input=dot.encode(), capture_output=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        raise DrawingError(
            f"{_PROGRAM} could not lay the cell out: {said.decode(errors='replace') or error}"
        ) from error
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@cache
def _program() -> str:
    # Beside this Python first: an environment's programs are on PATH only while it is active.
    found = shutil.which(_PROGRAM, path=sysconfig.get_path("scripts")) or shutil.which(_PROGRAM)
    if found is None:
        raise DrawingError(f"{_PROGRAM} is not installed here, which places a cell's nodes: pip install {_PROGRAM}")
    return found
