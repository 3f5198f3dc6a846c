"""`dartboard check` runs every step, prints the output of those that fail, and gives each step's time."""

from __future__ import annotations

import sys

import pytest

from client.commands.check import Step, light_tests, run_steps

pytestmark = pytest.mark.light


def step(name: str, code: str) -> Step:
    return Step(name, (sys.executable, "-c", code))


def test_a_failing_step_is_shown_and_keeps_no_other_from_running(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_steps([step("bad", "print('the reason'); raise SystemExit(3)"), step("good", "print('quiet')")]) == 1
    *shown, _ = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["== bad", "the reason"]
    assert {line.split(":")[0] for line in shown[-3:-1]} == {"FAILED  bad", "passed  good"}
    assert shown[-1] == "1 passed, 1 failed"
    assert "quiet" not in shown


def test_steps_that_pass_end_with_0_and_their_times(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_steps([step("good", "")]) == 0
    line, summary, total = capsys.readouterr().out.splitlines()
    assert line.startswith("passed  good: ")
    assert line.endswith(" s")
    assert summary == "1 passed, 0 failed"
    assert total.endswith(" s in all")


def test_the_light_tests_are_the_files_that_are_marked() -> None:
    assert "tests/client/test_check.py" in light_tests()
    assert "tests/client/bootstrap/test_first_call.py" not in light_tests()
