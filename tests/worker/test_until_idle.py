"""A worker without work ends itself, and does not while any of its processes has a job."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.claimed import an_attempt
from worker.attempt_dir import AttemptFolder

# A process that watches the two folders it is given, and prints a line before it waits.
_WATCHING = """
import signal, sys, threading
from pathlib import Path
from worker.until_idle import IdleWatch
IdleWatch([Path(path) for path in sys.argv[1:]], 0.02).start()
print("watching", flush=True)
threading.Event().wait()
"""


def test_it_ends_once_no_worker_of_the_host_has_a_job(tmp_path: Path) -> None:
    folders = [tmp_path / "1", tmp_path / "2"]
    busy = AttemptFolder(folders[1])
    busy.open(an_attempt())
    watching = subprocess.Popen([sys.executable, "-c", _WATCHING, *folders], stdout=subprocess.PIPE)
    try:
        assert watching.stdout is not None
        assert watching.stdout.readline() == b"watching\n"
        with pytest.raises(subprocess.TimeoutExpired):  # three times as long as it may be idle
            watching.wait(3.6)
        busy.clear()
        assert watching.wait(60) == -signal.SIGTERM
    finally:
        watching.kill()
        watching.wait()


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "soon"])
def test_no_time_is_refused(minutes: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "worker", f"--until-idle={minutes}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    assert f"invalid minutes value: '{minutes}'" in ran.stderr
