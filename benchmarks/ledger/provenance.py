"""Names the code and the processor that a figure comes from."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path

from darts_core.runtime.version import VERSION


@cache
def commit() -> str:
    """The commit of the checkout, with `+` behind it if files differ from it; without git the version."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=here, check=False).returncode
    except (OSError, subprocess.CalledProcessError):
        return VERSION
    return head.stdout.strip() + ("+" if changed else "")


@cache
def processor() -> str:
    """The processor's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
