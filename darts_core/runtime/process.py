"""One supervised child process: it dies with us, is stopped by signal, then by force."""

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

    Linux sends the parent-death signal when the *thread* that started the child ends, not the process: started from a
    caller's thread, servers would go down with it.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")

    def popen(self, command: "Command", log: Path | None) -> "subprocess.Popen[bytes]":
        """Start the command through the launcher. Raises OSError."""
        return self._thread.submit(_popen, command, log).result()

    def close(self) -> None:
        """End the thread: whatever still runs gets its parent-death signal now."""
        self._thread.shutdown(wait=True)


@dataclass(frozen=True)
class Command:
    """What to run and how. `death_signal` arrives when we die; `stdin` may hold secrets, `arguments` never."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    identity: str = "self"
    death_signal: signal.Signals = signal.SIGKILL
    stop_signal: signal.Signals = signal.SIGTERM
    stdin: str = field(default="", repr=False)


@dataclass
class _Life:
    """One incarnation: it's over once `ended` is set, and `code` is its exit code (negative: a signal)."""

    popen: "subprocess.Popen[bytes]"
    ended: threading.Event
    started: float
    code: int | None = None


class Process:
    """A named child that can be started again after it ended, until `stop` ends it. Thread-safe."""

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
        """`log`: where its output goes, to where ours does if None. `prepare` runs before each start. `grace`: seconds
        between the stop signal and SIGKILL.
        """
        self.name = name
        self.log = log
        self.command = command
        self.grace = grace
        self._spawner = spawner
        self._prepare = prepare
        # Re-entrant: a signal handler may call kill() while the thread it interrupts is in here.
        self._lock = threading.RLock()
        self._life: _Life | None = None
        self._closed = False

    def start(self) -> bool:
        """Start it. False after `stop`. Raises StackError when it can't be started."""
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
            except RuntimeError as error:  # no more threads: unwatched it would count as running for ever
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
        """Whether it has been started and has not ended."""
        return self.pid is not None

    @property
    def code(self) -> int | None:
        """The exit code of the last run, None while it runs or before its first start; negative: a signal."""
        return self._life.code if self._life is not None else None

    @property
    def age(self) -> float:
        """Seconds since the last start."""
        return time.monotonic() - self._life.started if self._life is not None else 0.0

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the present run has ended. False when it still runs after `seconds`."""
        life = self._life
        return True if life is None else life.ended.wait(seconds)

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens when it has ended."""
        with self._lock:
            # Under the lock the watcher can't reap it, so the number can't belong to a stranger.
            if self._life is not None and self._life.popen.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._life.popen.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.signal(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it, never to start again: its stop signal, then SIGKILL after `grace` seconds. Safe to call again."""
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
            os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)  # ended, and its number still taken
        else:
            popen.wait()
        with self._lock:
            # Helpers that it started and left behind are in its group; they must not outlive it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(popen.pid, signal.SIGKILL)
            life.code = popen.wait()
        life.ended.set()


def plain_environment() -> dict[str, str]:
    """What a server needs of our environment: nothing of ours, only what programs need to be found and loaded."""
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
            # Ctrl-C in the terminal is for the supervisor alone, which stops its children in order.
            start_new_session=True,
        )
    if popen.stdin is not None:
        # It may end before it reads; its exit code and log tell why.
        with contextlib.suppress(BrokenPipeError), popen.stdin as pipe:
            pipe.write(command.stdin.encode())
    return popen
