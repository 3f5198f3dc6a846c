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
    *lines, failure, first, second, last = capfd.readouterr().out.splitlines()
    assert any(line.startswith("     first | ") and "1 failed" in line for line in lines)
    assert failure.startswith("     first | FAILED ")
    assert "::test_it - assert False" in failure
    assert first.startswith("FAILED  first: ")
    assert second.startswith("passed  second: ")
    assert last == "1 passed, 1 failed"


def test_lanes_that_pass_end_with_0(files: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run_lanes([Lane("only", (files["good"], "-q"))]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 0 failed"


def test_tracks_run_side_by_side_and_lanes_of_a_track_in_turn(tmp_path: Path) -> None:
    """Each track's first lane waits for a file that the other track's makes."""
    for own, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"test_{own}.py").write_text(
            "from pathlib import Path\n\n\n"
            "def test_it() -> None:\n"
            f"    Path({str(tmp_path)!r}, {own!r}).touch()\n"
            f"    while not Path({str(tmp_path)!r}, {other!r}).exists():\n        pass\n"
        )
    (tmp_path / "test_last.py").write_text(
        f"from pathlib import Path\n\n\ndef test_it() -> None:\n    assert Path({str(tmp_path)!r}, 'a').exists()\n"
    )
    files = {name: (str(tmp_path / f"test_{name}.py"), "-q") for name in ("a", "b", "last")}
    assert (
        run_lanes([Lane("a", files["a"], "one"), Lane("last", files["last"], "one"), Lane("b", files["b"], "two")]) == 0
    )


@pytest.mark.skipif(platform.machine() != "x86_64", reason="levels are those of x86-64")
def test_every_level_that_the_processor_runs_has_a_lane() -> None:
    wanted = {f"kernels {level}" for level in FLAGS if level != NATIVE and not lacking(level)}
    assert {lane.name for lane in lanes(full=True) if lane.name.startswith("kernels ")} == wanted


def test_slow_tests_run_where_they_are_asked_for() -> None:
    short, full, slow = list(lanes()), list(lanes(full=True)), list(lanes(full=True, slow=True))
    assert [lane.name for lane in short] == ["unit", "end to end"]
    assert {"unit", "end to end", "chaos", "containers"} <= {lane.name for lane in full}
    for lane in (*short, *full):
        assert ("not slow" in lane.arguments) == (lane.name in ("unit", "end to end"))
    assert not any("not slow" in lane.arguments for lane in slow)
