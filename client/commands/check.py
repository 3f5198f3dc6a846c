"""`dartboard check`: runs in parallel all checks that need neither torch nor a service."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from client.commands.testing import require

ROOT: Final = Path(__file__).resolve().parents[2]
_SCRIPTS: Final = Path(sys.executable).parent
# Importing torch fails, so that these tests stay torch-free.
_WITHOUT_TORCH: Final = "import sys; sys.modules['torch'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
_LIGHT: Final = "pytestmark = pytest.mark.light"


@dataclass(frozen=True)
class Step:
    """A program; exit code 0 means success."""

    name: str
    command: Sequence[str | Path]


def light_tests() -> list[str]:
    """Test files marked `light`: they need neither torch nor a service."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if _LIGHT in file.read_text(encoding="utf-8").splitlines()]


def steps() -> list[Step]:
    """All steps, the longest first: the others share the remaining cores."""
    return [
        Step("types", (_SCRIPTS / "mypy",)),
        Step("unit tests", (sys.executable, "-c", _WITHOUT_TORCH, "-q", *light_tests())),
        Step("javascript", (sys.executable, "-m", "client.commands.javascript")),
        Step("import rules", (_SCRIPTS / "lint-imports",)),
        Step("style", (_SCRIPTS / "ruff", "check", ".")),
        Step("format", (_SCRIPTS / "ruff", "format", "--check", ".")),
        Step("words", (sys.executable, "-m", "client.wording")),
    ]


def check() -> None:
    """Check style, types, import rules and wording, and run the tests without torch, in less than a minute."""
    require("pytest", "mypy", "importlinter")
    raise typer.Exit(run_steps(steps()))


def run_steps(steps: Sequence[Step]) -> int:
    """Run all steps; print the output of each failed one, then a line for each. Returns 1 on failure."""
    began = time.monotonic()
    lines = []
    failed = 0
    with ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0)))) as cores:
        running = {cores.submit(_run, step): step for step in steps}
        for ended in as_completed(running):
            name, (code, output, seconds) = running[ended].name, ended.result()
            if code != 0:
                failed += 1
                print(f"== {name}\n{output}", flush=True)
            lines.append(f"{'passed' if code == 0 else 'FAILED'}  {name}: {seconds:.1f} s")
    print("\n".join(lines))
    print(f"{len(lines) - failed} passed, {failed} failed")
    print(f"{time.monotonic() - began:.1f} s in all", flush=True)
    return int(failed > 0)


def _run(step: Step) -> tuple[int, str, float]:
    began = time.monotonic()
    ran = subprocess.run(
        step.command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return ran.returncode, ran.stdout, time.monotonic() - began
