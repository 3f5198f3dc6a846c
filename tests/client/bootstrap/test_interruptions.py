"""Interrupted, concurrent and failed installations."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.installed import MISSING, call, configure, environment, first_line, lock

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("kill", "deaf"), [(signal.SIGTERM, False), (signal.SIGHUP, False), (signal.SIGTERM, True)]
)  # `deaf`: uv is stopped and answers nothing
def test_interrupted_installation_ends_uv_and_is_finished_by_the_next_call(
    ready: Path, kill: signal.Signals, deaf: bool
) -> None:
    os.mkfifo(ready / "slow")
    if deaf:
        (ready / "deaf").touch()
    command = subprocess.Popen([ready / "dartboard"], env=environment(), stderr=subprocess.PIPE, text=True)
    builder = int((ready / "slow").read_text())
    command.send_signal(kill)
    _, said = command.communicate(timeout=240)
    assert command.returncode == 130
    assert "Run the same command again" in said
    left = [*(ready / ".venv").glob("tmp"), *(ready / ".venv" / "cache").glob(".tmp*")]
    assert (left, (ready / ".venv" / "cache" / ".lock").exists()) == ([], True)
    assert not Path(f"/proc/{builder}/cmdline").exists() or not Path(f"/proc/{builder}/cmdline").read_bytes()
    (ready / "slow").unlink()
    assert call(ready / "dartboard").returncode == 0


def test_two_first_calls_at_once_install_once_and_both_run(ready: Path) -> None:
    with (ready / ".venv" / "install.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        both = [
            subprocess.Popen([ready / "dartboard"], env=environment(), stdout=-1, stderr=-1, text=True)
            for _ in range(2)
        ]
        waiting = [first_line(process) for process in both]
    said = [process.communicate(timeout=240) for process in both]
    assert all("another call is installing" in line for line in waiting)
    assert [out for out, _ in said] == [f"[] {os.getcwd()} 1\n"] * 2
    assert sum("installing into" in errors for _, errors in said) == 1


def test_ctrl_c_while_another_call_installs_ends_the_wait_alone(ready: Path) -> None:
    with (ready / ".venv" / "install.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen([ready / "dartboard"], env=environment(), stderr=-1, text=True)
        assert "another call is installing" in first_line(waiting)
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    assert said.strip() == "dartboard: no longer waiting; the other call's installation goes on."


def test_an_interrupted_download_leaves_nothing_and_installed_packages_stay(ready: Path) -> None:
    call(ready / "dartboard")
    (ready / ".venv" / "mine").touch()
    configure(ready, version="2")
    lock(ready, MISSING)
    with socket.create_server(("127.0.0.1", 0)) as index:
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        command = subprocess.Popen([ready / "dartboard"], env=environment(PIP_INDEX_URL=url, DARTBOARD_TORCH="cuda"))
        connection, _ = index.accept()
        command.send_signal(signal.SIGTERM)
        assert command.wait(timeout=240) == 130
        connection.close()
    configure(ready, version="3")
    lock(ready, "")
    assert call(ready / "dartboard").stdout.endswith(" 3\n")
    assert (ready / ".venv" / "mine").exists()


def test_a_failed_download_leaves_installed_packages_alone(ready: Path) -> None:
    call(ready / "dartboard")
    (ready / ".venv" / "mine").touch()
    configure(ready, version="2")
    lock(ready, MISSING)
    assert call(ready / "dartboard").returncode == 1
    configure(ready, version="3")
    lock(ready, "")
    assert call(ready / "dartboard").stdout.endswith(" 3\n")
    assert (ready / ".venv" / "mine").exists()
