"""`dartboard check`: all checks that need neither torch nor a service, side by side on the cores there are."""

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
# An import of torch fails at once, so that no test here comes to need it.
_WITHOUT_TORCH: Final = "import sys; sys.modules['torch'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
UNIT_TESTS: Final = (
    "tests/api/datasets/test_array_sets.py",
    "tests/api/datasets/test_check.py",
    "tests/api/datasets/test_layout.py",
    "tests/api/test_comparison.py",
    "tests/api/test_state_machine.py",
    "tests/darts_core/runtime/test_logs.py",
    "tests/api/composite/test_study_protocol.py",
    "tests/client/local/test_data_directory.py",
    "tests/darts_core/runtime/test_backoff.py",
    "tests/darts_core/runtime/test_gpu_groups.py",
    "tests/darts_core/runtime/test_gpus.py",
    "tests/client/local/test_log_files.py",
    "tests/client/local/test_ports.py",
    "tests/client/local/test_requirements.py",
    "tests/client/test_check.py",
    "tests/client/test_docs.py",
    "tests/client/test_events.py",
    "tests/client/test_first_start.py",
    "tests/client/test_import_circles.py",
    "tests/client/test_output.py",
    "tests/client/test_screen.py",
    "tests/client/test_paths.py",
    "tests/client/test_version.py",
    "tests/client/test_wording.py",
    "tests/darts_core/drawing/test_drawing.py",
    "tests/darts_core/test_diagnostics.py",
    "tests/darts_core/test_catalogue.py",
    "tests/darts_core/test_random_cells.py",
    "tests/darts_core/test_genotype_formats.py",
    "tests/darts_core/test_genotype_texts.py",
    "tests/darts_core/test_ranked.py",
    "tests/darts_core/test_mmrazor.py",
    "tests/worker/test_health.py",
    "tests/worker/test_heartbeat.py",
    "tests/worker/test_logs.py",
    "tests/worker/test_metrics.py",
    "tests/worker/test_reporter.py",
    "tests/worker/test_retry.py",
    "tests/worker/test_settings.py",
)


@dataclass(frozen=True)
class Step:
    """A program that passes with exit code 0."""

    name: str
    command: Sequence[str | Path]


# The longest first: the others fill the other cores meanwhile.
STEPS: Final = (
    Step("types", (_SCRIPTS / "mypy",)),
    Step("unit tests", (sys.executable, "-c", _WITHOUT_TORCH, "-q", *UNIT_TESTS)),
    Step("javascript", (sys.executable, "-m", "client.commands.javascript")),
    Step("import rules", (_SCRIPTS / "lint-imports",)),
    Step("style", (_SCRIPTS / "ruff", "check", ".")),
    Step("format", (_SCRIPTS / "ruff", "format", "--check", ".")),
    Step("words", (sys.executable, "-m", "client.wording")),
)


def check() -> None:
    """Check style, types, import rules and words, and run the tests that need no torch, in less than a minute."""
    require("pytest", "mypy", "importlinter")
    raise typer.Exit(run_steps(STEPS))


def run_steps(steps: Sequence[Step]) -> int:
    """Run all steps and print the output of each that fails, then a line for each. Returns 1 if one has failed."""
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
