"""`dartboard test` runs every lane, whatever became of those before."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from client.commands.testing import Lane, lanes, run_lanes
from darts_core.kernels.levels import FLAGS, NATIVE, lacking


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    texts = {"good": "def test_it() -> None:\n    pass\n", "bad": "def test_it() -> None:\n    assert False\n"}
    for name, text in texts.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    return {name: str(tmp_path / f"test_{name}.py") for name in texts}


def test_a_failing_lane_keeps_no_other_from_running(files: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    code = run_lanes([Lane("first", (files["bad"], "-q")), Lane("second", (files["good"], "-q"))])
    assert code == 1
    *_, first, second, last = capfd.readouterr().out.splitlines()
    assert first.startswith("FAILED  first: ")
    assert second.startswith("passed  second: ")
    assert last == "1 passed, 1 failed"


def test_lanes_that_pass_end_with_0(files: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run_lanes([Lane("only", (files["good"], "-q"))]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 0 failed"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="levels are those of x86-64")
def test_every_level_that_the_processor_runs_has_a_lane() -> None:
    wanted = {f"kernels {level}" for level in FLAGS if level != NATIVE and not lacking(level)}
    assert {lane.name for lane in lanes() if lane.name.startswith("kernels ")} == wanted
