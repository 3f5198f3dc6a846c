"""`dartboard test`: runs the project's tests in lanes: unit and end to end, with `--full` all others too."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

_ROOT = Path(__file__).resolve().parents[2]
# Each process loads torch; each stack also a database, a broker and a browser.
_MOST_PROCESSES = 16
_MOST_STACKS = 6
_LONGEST_FAILURE: Final = 400
_NO_TESTS: Final = 5  # pytest's exit code
_SLOWEST: Final = ("--durations=15", "--durations-min=5")
_GATES: Final = ("test_fused.py", "test_recurrent_kernels.py", "test_kernels.py")


@dataclass(frozen=True)
class Lane:
    """One run of pytest. Lanes of one track run in sequence, tracks in parallel."""

    name: str
    arguments: tuple[str, ...]
    track: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


class _Result(NamedTuple):
    lane: str
    code: int
    seconds: float
    failures: list[str]


def run_tests(
    context: typer.Context,
    full: Annotated[bool, typer.Option(help="Include faults, containers and all kernel levels.")] = False,
    slow: Annotated[bool, typer.Option(help="Include tests of ten seconds and more.")] = False,
) -> None:
    """Run the tests. Further arguments go to pytest, which then runs alone (`dartboard test tests/api -k lease`)."""
    require("pytest")
    if context.args:
        command = _command(Lane("", tuple(context.args)))
        raise typer.Exit(subprocess.run(command, cwd=_ROOT, env=_environment(), check=False).returncode)
    raise typer.Exit(run_lanes(list(lanes(full=full, slow=slow))))


def require(*modules: str) -> None:
    """Raise BadParameter when a developers' tool is not installed."""
    if missing := [module for module in modules if find_spec(module) is None]:
        raise typer.BadParameter(
            f"{', '.join(missing)} not installed here: call ./dartboard test or check, which add the tools they need"
        )


def run_lanes(lanes: list[Lane]) -> int:
    """Run all lanes even after a failure, then print the tests that failed and a line for each lane.

    Returns 1 on failure.
    """
    tracks: dict[str, list[Lane]] = {}
    for lane in lanes:
        tracks.setdefault(lane.track, []).append(lane)
    with ThreadPoolExecutor(len(tracks)) as pool:
        results = [result for track in pool.map(_run_track, tracks.values()) for result in track]
    for result in results:
        for failure in result.failures:  # again, where a log's end shows them
            print(f"{result.lane:>10} | {failure}")
    failed = [result.code not in (0, _NO_TESTS) for result in results]
    for result, has_failed in zip(results, failed, strict=True):
        print(f"{'FAILED' if has_failed else 'passed'}  {result.lane}: {result.seconds:.0f} s")
    print(f"{failed.count(False)} passed, {failed.count(True)} failed", flush=True)  # lanes
    return int(any(failed))


def _run_track(lanes: list[Lane]) -> list[_Result]:
    return [_pytest(lane) for lane in lanes]


def lanes(*, full: bool = False, slow: bool = False) -> Iterator[Lane]:
    """The lanes of this machine.

    full: with faults, containers, and the kernels of every level that this processor supports, not only its own. slow:
    with the tests marked so.
    """
    cores = max(2, len(os.sched_getaffinity(0)))
    unit, stacks = str(min(cores, _MOST_PROCESSES)), str(min(cores, _MOST_STACKS))
    chosen = () if slow else ("-m", "not slow")
    others = [f"--ignore=tests/{name}" for name in ("e2e", "chaos", "compose")]
    yield Lane("unit", ("tests", *others, *chosen, "-n", unit, "-q", *_SLOWEST), "unit")
    if full:
        # The unit lane covers this processor's own level; other machines have others.
        gates = [f"tests/darts_core/{name}" for name in _GATES]
        for level in _levels():
            environment = {"DARTBOARD_KERNELS": level}
            yield Lane(f"kernels {level}", (*gates, "-k", "not torch", "-n", unit, "-q"), "unit", environment)
        # Skipped without a Docker engine.
        yield Lane("containers", ("tests/compose", "-q", *_SLOWEST), "services")
        # Two workers and restarting servers: one process suffices.
        yield Lane("chaos", ("tests/chaos", "-q"), "services")
    # Each shard has its own stack; the stack's worker uses one thread.
    yield Lane("end to end", ("tests/e2e", *chosen, "-n", stacks, "--dist", "loadfile", "-q", *_SLOWEST), "services")


def _levels() -> Iterator[str]:
    from darts_core.kernels.levels import FLAGS, NATIVE, lacking

    for level in FLAGS:
        if level == NATIVE:
            continue
        try:
            missing = lacking(level)
        except ValueError as error:
            print(f"kernels {level} left out: {error}")
            continue
        if missing:
            print(f"kernels {level} left out: this processor lacks {', '.join(missing)}")
        else:
            yield level


def _pytest(lane: Lane) -> _Result:
    command, environment = _command(lane), {**_environment(), **lane.environment}
    began, failures = time.monotonic(), []
    with subprocess.Popen(
        command,
        cwd=_ROOT,
        # With BUILD_NUMBER pytest cuts no line of its summary. CI would do too, and have Hypothesis try less.
        env={"BUILD_NUMBER": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{lane.name:>10} | {line}", end="", flush=True)
            if line.startswith(("FAILED ", "ERROR ")):
                failures.append(line.rstrip()[:_LONGEST_FAILURE])
    return _Result(lane.name, process.returncode, time.monotonic() - began, failures)


def _command(lane: Lane) -> list[str]:
    return [sys.executable, "-m", "pytest", *lane.arguments]


def _environment() -> dict[str, str]:
    # Two processes of two threads each on two cores mostly wait for each other.
    return {"OMP_NUM_THREADS": "1", **os.environ}
