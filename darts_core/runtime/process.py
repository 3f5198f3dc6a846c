"""Supervises one child process: it dies with its parent and is stopped by signal, then by force."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from darts_core.runtime import launcher
from darts_core.runtime.errors import StackError

LAUNCHER = Path(launcher.__file__)


class Spawner:
    """Starts every child from one thread that lives as long as this object.

    Linux sends the parent-death signal when the *thread* that started the child ends, not the process: a server started
    from a short-lived thread would die with it.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")

    def popen(self, command: "Command", log: Path | None) -> "subprocess.Popen[bytes]":
        """Start the command through the launcher. Raises OSError."""
        return self._thread.submit(_popen, command, log).result()

    def close(self) -> None:
        """End the thread: children still running get their parent-death signal now."""
        self._thread.shutdown(wait=True)


@dataclass(frozen=True)
class Command:
    """A command and how to run it. `death_signal` arrives when the parent dies; `stdin` may hold secrets, `arguments`
    never.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    identity: str = "self"
    death_signal: signal.Signals = signal.SIGKILL
    stop_signal: signal.Signals = signal.SIGTERM
    stdin: str = field(default="", repr=False)


@dataclass
class _Life:
    """One run of the process; `ended` is set once it is over, and `code` is its exit code (negative: a signal)."""

    popen: "subprocess.Popen[bytes]"
    ended: threading.Event
    started: float
    code: int | None = None


class Process:
    """A named child that can be restarted until `stop` is called. Thread-safe."""

    def __init__(
        self,
        name: str,
        command: Command,
        log: Path | None,
        spawner: Spawner,
        *,
        prepare: Callable[[], None] | None = None,
        grace: float = 10.0,
    ) -> None:
        """log: file for its output, ours if None. prepare: called before each start. grace: seconds between the stop
        signal and SIGKILL.
        """
        self.name = name
        self.log = log
        self.command = command
        self.grace = grace
        self._spawner = spawner
        self._prepare = prepare
        # Re-entrant: a signal handler may call kill() while the interrupted thread holds the lock.
        self._lock = threading.RLock()
        self._life: _Life | None = None
        self._closed = False

    def start(self) -> bool:
        """Start the process. False after `stop`. Raises StackError on failure."""
        if self._prepare is not None:
            self._prepare()
        with self._lock:
            if self._closed:
                return False
            if self.running:
                raise RuntimeError(f"{self.name} already runs")
            try:
                popen = self._spawner.popen(self.command, self.log)
            except OSError as error:
                raise StackError(f"Cannot start {self.name} ({self.command.arguments[0]}): {error}") from error
            life = _Life(popen, threading.Event(), time.monotonic())
            try:
                threading.Thread(target=self._watch, args=(life,), name=f"watch-{self.name}", daemon=True).start()
            except RuntimeError as error:  # no more threads: without a watcher it would count as running for ever
                popen.kill()
                popen.wait()
                raise StackError(f"Cannot watch {self.name}: {error}") from error
            self._life = life
        return True

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        life = self._life
        return life.popen.pid if life is not None and not life.ended.is_set() else None

    @property
    def running(self) -> bool:
        return self.pid is not None

    @property
    def code(self) -> int | None:
        """The exit code of the last run (negative: a signal); None while it runs and before its first start."""
        return self._life.code if self._life is not None else None

    @property
    def age(self) -> float:
        return time.monotonic() - self._life.started if self._life is not None else 0.0

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the current run to end. False when it still runs after `seconds`."""
        life = self._life
        return True if life is None else life.ended.wait(seconds)

    def signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        with self._lock:
            # Under the lock the watcher cannot reap it, so the pid cannot be reused.
            if self._life is not None and self._life.popen.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._life.popen.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def stop(self) -> None:
        """Stop the process permanently: its stop signal, then SIGKILL after `grace` seconds. Idempotent."""
        with self._lock:
            self._closed = True
        self.signal(self.command.stop_signal)
        if not self.wait(self.grace):
            self.kill()
            self.wait()

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of the log, empty when there are none."""
        if self.log is None:
            return ""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 200 * lines))
                return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def _watch(self, life: _Life) -> None:
        popen = life.popen
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)  # ended, not yet reaped: its pid is still ours
        else:
            popen.wait()
        with self._lock:
            # Helpers that it left behind are in its process group and must not outlive it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(popen.pid, signal.SIGKILL)
            life.code = popen.wait()
        life.ended.set()


def plain_environment() -> dict[str, str]:
    """The environment for a server: only the variables that programs need to be found and loaded."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {"PATH": os.defpath, "LC_ALL": "C", **kept}


def _popen(command: Command, log: Path | None) -> "subprocess.Popen[bytes]":
    launch = [sys.executable, "-I", "-S", str(LAUNCHER)]
    ties = [str(os.getpid()), str(int(command.death_signal)), command.identity]
    with contextlib.ExitStack() as opened:
        output = opened.enter_context(log.open("ab")) if log is not None else None
        popen = subprocess.Popen(
            [*launch, *ties, *command.arguments],
            stdin=subprocess.PIPE if command.stdin else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            cwd=command.directory,
            env=dict(command.environment),
            # Ctrl-C in the terminal goes to the supervisor alone, which stops its children in order.
            start_new_session=True,
        )
    if popen.stdin is not None:
        # It may end before it reads; its exit code and log give the reason.
        with contextlib.suppress(BrokenPipeError), popen.stdin as pipe:
            pipe.write(command.stdin.encode())
    return popen
