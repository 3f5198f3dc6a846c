"""No wait is silent: the stage and its seconds, on a terminal and elsewhere."""

import io
import re
import threading

from rich.console import Console

from client.clock import PERIOD, Clock, duration
from client.events import Event
from client.job_stage import stage_of, steps_of


class _Lines(io.StringIO):
    """Tells when a line has come."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if "\n" in text:
            self.came.set()
        return written


def test_without_a_terminal_a_line_comes_within_three_seconds() -> None:
    output = _Lines()
    with Clock(Console(file=output), "preparing: kernels"):
        assert output.came.wait(3.0)
    assert re.fullmatch(r"preparing: kernels \.\.\. [23]s\n", output.getvalue())
    assert PERIOD < 3


def test_another_stage_has_a_clock_of_its_own_and_another_detail_has_not() -> None:
    clock = Clock(Console(file=io.StringIO()), "starting")
    began = clock._since
    clock.stage("starting", "half of it")
    assert clock._since == began
    clock.stage("downloading")
    assert clock._since > began
    assert clock._line().plain == "downloading ... 0s"


def test_on_a_terminal_the_line_is_gone_afterwards() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=60, color_system=None)
    with Clock(console, "starting the API"):
        pass
    assert isinstance(console.file, io.StringIO)
    assert "starting the API ... 0s" in console.file.getvalue()
    assert console.file.getvalue().endswith("\x1b[2K")


def test_durations_are_short() -> None:
    assert [duration(s) for s in (0.9, 62, 3725)] == ["0s", "1m02s", "1h02m"]


def test_a_jobs_stage_follows_from_its_events() -> None:
    step = {"epoch": 1, "epochs": 3, "step": 0, "steps": 0, "stage": "preparing: kernels"}
    assert stage_of(Event(1, "status", {"status": "queued", "reason": "no worker"})) == "queued (no worker)"
    assert stage_of(Event(2, "status", {"status": "running", "reason": None})) == "preparing"
    assert stage_of(Event(3, "step", step)) == "preparing: kernels"
    assert steps_of(step) == ""
    training = {**step, "step": 4, "steps": 12, "stage": None}
    assert stage_of(Event(4, "step", training)) == "epoch 1/3"
    assert steps_of(training) == "step 4/12"
    assert steps_of({**training, "eta_seconds": 190.4}) == "step 4/12, 3m10s left"
    assert stage_of(Event(5, "log", {"level": "info", "message": "x"})) is None
