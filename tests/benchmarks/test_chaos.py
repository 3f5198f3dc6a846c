"""A chaos benchmark that is ended leaves no stopped process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

_STOPPING = """
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from benchmarks.chaos import end_as_ctrl_c_does
from benchmarks.chaos.faults import Stop, Target
from benchmarks.chaos.injector import Injector

end_as_ctrl_c_does()
stack = SimpleNamespace(processes={"api": SimpleNamespace(pid=int(sys.argv[1]))})
target = Target(stack, Path("."), lambda draw: None)
with Injector(target, [Stop("api")], 1, shortest=0, longest=0, say=print):
    print("striking", flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_process_goes_on(sleeper: subprocess.Popen[bytes], number: signal.Signals) -> None:
    command = [sys.executable, "-c", _STOPPING, str(sleeper.pid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as benchmark:
        assert benchmark.stdout is not None
        assert benchmark.stdout.readline() == b"striking\n"
        _, status = os.waitpid(sleeper.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        benchmark.send_signal(number)
        benchmark.communicate()
    assert psutil.Process(sleeper.pid).status() != psutil.STATUS_STOPPED
