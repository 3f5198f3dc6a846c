"""Supervised processes and the launcher they start through."""

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from darts_core.runtime.errors import StackError
from darts_core.runtime.launcher import REFUSED
from darts_core.runtime.process import LAUNCHER, Command, Process, Spawner, plain_environment


def process(spawner: Spawner, directory: Path, *arguments: str, **options: Any) -> Process:
    command = Command(arguments, plain_environment(), directory)
    return Process("child", command, directory / "child.log", spawner, **options)


def test_output_goes_to_the_log(spawner: Spawner, tmp_path: Path) -> None:
    child = process(spawner, tmp_path, "sh", "-c", "echo out; echo err >&2")
    child.start()
    assert child.wait(20)
    assert child.log_tail() == "out\nerr"


def test_log_tail_holds_the_last_lines_only(spawner: Spawner, tmp_path: Path) -> None:
    child = process(spawner, tmp_path, "sh", "-c", "seq 1000")
    child.start()
    assert child.wait(20)
    assert child.log_tail(3) == "998\n999\n1000"


def test_standard_input_reaches_the_command(spawner: Spawner, tmp_path: Path) -> None:
    command = Command(["cat"], plain_environment(), tmp_path, stdin="a secret")
    child = Process("child", command, tmp_path / "child.log", spawner)
    child.start()
    assert child.wait(20)
    assert child.log_tail() == "a secret"


def test_exit_code_is_kept_and_a_signal_is_negative(spawner: Spawner, tmp_path: Path) -> None:
    ending = process(spawner, tmp_path, "sh", "-c", "exit 3")
    ending.start()
    assert ending.wait(20)
    sleeping = process(spawner, tmp_path, "sleep", "600")
    sleeping.start()
    sleeping.kill()
    assert sleeping.wait(20)
    assert (ending.code, sleeping.code) == (3, -signal.SIGKILL)


def test_program_that_does_not_exist_is_named_in_the_log(spawner: Spawner, tmp_path: Path) -> None:
    child = process(spawner, tmp_path, "/no/such/program")
    child.start()
    assert child.wait(20)
    assert child.code == 127
    assert "/no/such/program" in child.log_tail()


def test_directory_that_does_not_exist_is_an_error(spawner: Spawner, tmp_path: Path) -> None:
    command = Command(["true"], plain_environment(), tmp_path / "missing")
    with pytest.raises(StackError, match="missing"):
        Process("child", command, tmp_path / "child.log", spawner).start()


def test_process_that_ignores_its_stop_signal_is_killed_after_its_grace(spawner: Spawner, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ready")
    script = "trap '' TERM; echo > ready; sleep 600"
    child = process(spawner, tmp_path, "sh", "-c", script, grace=0.1)
    child.start()
    (tmp_path / "ready").read_text()  # opens once it writes
    child.stop()
    assert child.code == -signal.SIGKILL


def test_stopped_process_cannot_be_started_again(spawner: Spawner, tmp_path: Path) -> None:
    child = process(spawner, tmp_path, "sleep", "600")
    child.start()
    child.stop()
    assert child.start() is False
    assert not child.running


def test_helpers_left_behind_end_with_their_process(spawner: Spawner, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "helper")
    child = process(spawner, tmp_path, "sh", "-c", "sleep 600 & echo $! > helper; wait")
    child.start()
    helper = os.pidfd_open(int((tmp_path / "helper").read_text()))
    child.kill()
    assert child.wait(20)
    assert select.select([helper], [], [], 20)[0]
    os.close(helper)


def become(child: Process, program: str) -> None:
    """Start it and wait until the launcher has become the program: only then its death signal is surely set."""
    child.start()
    while Path(f"/proc/{child.pid}/comm").read_text() != f"{program}\n":
        assert not child.wait(0.005)


def test_child_outlives_the_thread_that_asked_for_it(spawner: Spawner, tmp_path: Path) -> None:
    child = process(spawner, tmp_path, "sleep", "600")
    asking = threading.Thread(target=become, args=(child, "sleep"))
    asking.start()
    asking.join()
    assert not child.wait(0.2)
    child.stop()


def test_closing_the_spawner_ends_running_children(tmp_path: Path) -> None:
    spawner = Spawner()
    child = process(spawner, tmp_path, "sleep", "600")
    become(child, "sleep")
    spawner.close()
    assert child.wait(20)
    assert child.code == -signal.SIGKILL


def test_launcher_runs_nothing_when_its_parent_is_gone() -> None:
    stranger = str(os.getpid() + 1)
    launched = subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCHER), stranger, "9", "self", "echo", "ran"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert launched.stdout == ""


def test_launcher_passes_arguments_environment_and_exit_code() -> None:
    launched = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            str(LAUNCHER),
            str(os.getpid()),
            "9",
            "self",
            "sh",
            "-c",
            'echo "$1 $A"; exit 5',
            "x",
            "b c",
        ],
        env={**plain_environment(), "A": "d"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (launched.stdout, launched.returncode) == ("b c d\n", 5)


@pytest.mark.skipif(os.geteuid() != 0, reason="root takes on other names, others do not need to")
@pytest.mark.parametrize("identity", ["namespace", "nobody"])
def test_launcher_makes_root_appear_as_another_user(identity: str) -> None:
    launched = subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), "9", identity, "id", "-u"],
        capture_output=True,
        text=True,
        check=False,
    )
    if launched.returncode == REFUSED:
        pytest.skip(launched.stderr)
    assert launched.stdout == "65534\n"
