"""Make .venv, install Dartboard into it with pip, and go on as the command that was asked for.

Run by ./dartboard under whatever Python the machine has, before anything is installed: standard library only, no
import of ours. It speaks on standard error, since standard output belongs to the command.
"""

import contextlib
import errno
import fcntl
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

EXTRAS = "api,worker,local,dev"
INSTALLED_GB = 7.0  # torch with CUDA and everything else, unpacked
DOWNLOADS_GB = 3.0  # what pip holds at one time in the temporary directory
_TICK = 0.25  # seconds between two updates of the clock in the progress line
_QUIET = 30.0  # seconds between two lines where there's no terminal
_PATIENCE = 10.0  # seconds in which an interrupted pip removes its temporary files


class BootstrapError(Exception):
    """The installation cannot go on. The message says why and how to go on."""


def main(arguments: list[str]) -> int:
    """Install if needed, then become the command. Returns an exit code only when that fails."""
    root = Path(__file__).resolve().parents[1]
    for ending in (signal.SIGTERM, signal.SIGHUP):  # a kill, too, must take pip along; `nohup` stays what it is
        if signal.getsignal(ending) is signal.SIG_DFL:
            signal.signal(ending, signal.default_int_handler)
    try:
        install(root)
    except BootstrapError as error:
        print(f"dartboard: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndartboard: installation interrupted. Run the same command again to go on.", file=sys.stderr)
        return 130
    command = str(root / ".venv" / "bin" / "dartboard")
    try:
        os.execv(command, [command, *arguments])  # noqa: S606 - no shell is wanted here
    except OSError as error:
        print(f"dartboard: cannot run {command} ({error.strerror}). Remove .venv and try again.", file=sys.stderr)
        return 1


def install(root: Path) -> None:
    """Bring root/.venv up to what pyproject.toml and constraints.txt say. Raises BootstrapError."""
    venv = root / ".venv"
    try:
        venv.mkdir(exist_ok=True)
        with _only_one(venv / "install.lock") as lock:
            if _read(venv / "installed") == stamp(root) and _usable(venv) and (venv / "bin" / "dartboard").exists():
                return  # another call did it while we waited
            _install(root, venv, lock)
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else f"{error.strerror}: {error.filename}"
        raise BootstrapError(
            f"cannot install into {venv} ({reason}). Make it writable or make room, then try again."
        ) from error


def stamp(root: Path) -> str:
    """What decides whether an installation is current; ./dartboard builds the same text."""
    return f"{root}\n" + _read(root / "pyproject.toml") + _read(root / "constraints.txt")


def _install(root: Path, venv: Path, lock: int) -> None:
    log, unfinished, constraints = venv / "install.log", venv / "unfinished", root / "constraints.txt"
    if unfinished.exists():
        # A package may be there in part, which pip would take for whole.
        _empty(venv)
    check_disk(venv)
    print(f"dartboard: installing into {venv} (about {INSTALLED_GB - 1:.0f} GB, once; log: {log})", file=sys.stderr)
    with log.open("w", encoding="utf-8", errors="replace") as output:
        if not _usable(venv):
            _make_environment(venv, output)
        command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--no-input", "--progress-bar=off"]
        command += ["--disable-pip-version-check", "-c", str(constraints), "-e", f".[{EXTRAS}]"]
        progress = Progress(_read(constraints), venv, sys.stderr)
        wanted = stamp(root)  # as it is now: an edit during the installation asks for another one
        unfinished.touch()
        code = -1
        try:
            code = _run_pip(command, root, output, progress, lock)
        finally:
            if code != 0 and not progress.changing:
                unfinished.unlink()  # nothing has been touched yet; what's there stays good
    if code != 0:
        raise BootstrapError(pip_failure(_read(log), log))
    (venv / "installed").write_text(wanted, encoding="utf-8")
    unfinished.unlink()


def check_disk(venv: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Raise BootstrapError when the disk can't take the installation. DARTBOARD_INSTALL_GB replaces our estimate."""
    has_torch = any(venv.glob("lib/python*/site-packages/torch/__init__.py"))
    try:
        needed = float(environment.get("DARTBOARD_INSTALL_GB") or (1.0 if has_torch else INSTALLED_GB))
    except ValueError:
        raise BootstrapError("DARTBOARD_INSTALL_GB must be a number of gigabytes, for example 7.") from None
    free = shutil.disk_usage(venv).free / 1e9
    if free < needed:
        raise BootstrapError(
            f"not enough disk space: {venv} needs about {needed:.0f} GB (most of it PyTorch with CUDA), and {free:.1f} "
            "GB are free.\n  Make room, or put it on a larger disk: make a folder there and link it, "
            f"ln -s /larger/disk/venv {venv}\n  If you know that less is enough: DARTBOARD_INSTALL_GB=N"
        )
    temporary = Path(tempfile.gettempdir())
    downloads = min(DOWNLOADS_GB, needed)
    free = shutil.disk_usage(temporary).free / 1e9
    if temporary.stat().st_dev != venv.stat().st_dev and free < downloads:
        raise BootstrapError(
            f"not enough space for downloads: {temporary} needs about {downloads:.0f} GB, and {free:.1f} GB are free.\n"
            "  Use another folder for them: TMPDIR=/larger/disk ./dartboard ..."
        )


def pip_failure(log: str, path: Path) -> str:
    """Why pip failed, in a line, where its log is, and the way on."""
    errors = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR: ")]
    last = errors[-1] if errors else (log.strip().splitlines() or ["pip said nothing"])[-1]
    offline = re.search(
        r"(NewConnectionError|ConnectTimeoutError|ReadTimeoutError|NameResolutionError|ProxyError|ConnectionError"
        r"|SSLError|Connection refused|Temporary failure in name resolution|Network is unreachable)",
        log[-5000:],  # the end: an earlier one may have been overcome by trying again
    )
    if "No space left on device" in log:
        reason, advice = "the disk is full", "Make room (TMPDIR chooses where downloads are held)"
    elif offline:
        reason = f"no way to the package index ({offline.group(1)})"
        advice = "Check the network; behind a proxy set HTTPS_PROXY, for a mirror PIP_INDEX_URL"
    elif "(from versions: none)" in log:
        reason = f"{last} (the package index does not have it, or cannot be reached)"
        advice = "Check the network and PIP_INDEX_URL"
    elif "No matching distribution" in log:
        reason = last
        advice = "Python or this machine may be too new or too unusual for it: DARTBOARD_PYTHON chooses another Python"
    else:
        reason, advice = last, "See the log"
    return f"installation failed: {reason}.\n  log: {path}\n  {advice}, then run the same command again."


class Progress:
    """Follows pip and the folder that it fills: one live line on a terminal, a line now and then elsewhere."""

    def __init__(self, constraints: str, venv: Path, output: TextIO) -> None:
        self.changing = False  # whether pip has begun to change the environment
        self._total = len(re.findall(r"^[A-Za-z0-9._-]+(\[.*\])?==", constraints, re.MULTILINE))
        self._versions = {
            normalised(name): version
            for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", constraints, re.MULTILINE)
        }
        self._venv = venv
        self._output = output
        self._live = output.isatty()
        self._began = time.monotonic()
        self._shown_at = float("-inf")
        self._found: set[str] = set()
        self._installing: list[str] = []
        self._size = ""
        self._phase, self._subject = "preparing", ""

    def read(self, line: str) -> None:
        """Take in a line of pip's output."""
        before = self._phase
        if match := re.match(r"\s*(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)", line):
            self._phase, self._subject, self._size = "downloading", normalised(match.group(1)), ""
            self._found.add(self._subject)
        elif match := re.match(r"\s*Downloading \S+ \((\d.*)\)", line):
            self._size = f" ({match.group(1)})"
        elif match := re.match(r"Installing collected packages: (.*)", line):
            self._phase, self._size, self.changing = "installing", "", True
            self._installing = [normalised(name) for name in match.group(1).split(", ")]
        if not self._live and self._phase != before:
            self._shown_at = float("-inf")

    def show(self) -> None:
        """Show where things are; without a terminal only when the phase changed or half a minute has gone."""
        if not self._live and time.monotonic() - self._shown_at < _QUIET:
            return
        self._shown_at = time.monotonic()
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._output.write("\r" + self.line()[:width].ljust(width))
        else:
            self._output.write(f"  {self.line()}\n")
        self._output.flush()

    def line(self) -> str:
        """For example: installing 37/92 torch 2.14.1 ... 1m12s."""
        if self._phase == "installing":
            present = self._present()
            done = sum(name in present for name in self._installing)
            total = len(self._installing)
            self._subject = next((name for name in self._installing if name not in present), "")
        else:
            done, total = len(self._found), max(self._total, len(self._found))
        count = f" {done}/{total}" if done or self._phase != "preparing" else ""
        what = (
            f" {self._subject} {self._versions.get(self._subject, '')}".rstrip() + self._size if self._subject else ""
        )
        return f"{self._phase}{count}{what} ... {duration(time.monotonic() - self._began)}"

    def end(self, message: str) -> None:
        """Close the live line, or say the last word without one."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._output.write("\r" + " " * width + "\r")
        if message:
            self._output.write(f"dartboard: {message} in {duration(time.monotonic() - self._began)}\n")
        self._output.flush()

    def _present(self) -> set[str]:
        found = self._venv.glob("lib/python*/site-packages/*.dist-info")
        return {normalised(path.name.split("-")[0]) for path in found}


def normalised(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def duration(seconds: float) -> str:
    """Seconds as 1m12s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def _run_pip(command: list[str], root: Path, log: TextIO, progress: Progress, lock: int) -> int:
    """Run pip, copy what it says to the log and show progress. Returns its exit code."""
    pip = subprocess.Popen(
        command,
        cwd=root,
        env={**os.environ, "PIP_USER": "0", "PYTHONUNBUFFERED": "1"},  # --user is refused in a venv
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),  # should we be killed alone, the lock stays until pip has ended
        process_group=0,  # with the programs that build packages, which end with it
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        assert pip.stdout is not None
        for line in pip.stdout:
            lines.put(line)
        lines.put(None)

    def take(line: str) -> None:
        log.write(line)
        log.flush()
        progress.read(line)

    threading.Thread(target=read, daemon=True).start()
    code: int | None = None
    try:
        while True:
            with contextlib.suppress(queue.Empty):
                if (line := lines.get(timeout=_TICK)) is None:
                    break
                take(line)
            progress.show()
        code = pip.wait()
    finally:
        if code is None and pip.poll() is None:  # interrupted
            os.killpg(pip.pid, signal.SIGINT)
            # Python loses a signal that comes while it cleans up after an object.
            forced = threading.Timer(_PATIENCE, os.killpg, (pip.pid, signal.SIGKILL))
            forced.start()
            while (line := lines.get()) is not None:
                take(line)
            pip.wait()
            forced.cancel()
        progress.end("installed" if code == 0 else "")
    return code


def _make_environment(venv: Path, log: TextIO) -> None:
    if _runs(venv):  # by another tool, without pip
        command = [str(venv / "bin" / "python"), "-m", "ensurepip"]
    else:
        _empty(venv)
        command = [sys.executable, "-m", "venv", str(venv.resolve())]  # through a link it refuses to go
    made = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False)
    if made.returncode != 0:
        raise BootstrapError(
            f"cannot make a virtual environment in {venv}: {' '.join(command)} failed; log: {log.name}\n"
            "  Debian, Ubuntu: apt install python3-venv. Or choose another Python: DARTBOARD_PYTHON=/path/to/python3"
        )


def _usable(venv: Path) -> bool:
    return _runs(venv, "pip")


def _runs(venv: Path, *modules: str) -> bool:
    """Whether it's a virtual environment with a Python that runs, is new enough and has these modules."""
    test = (
        f"import {', '.join(('sys', *modules))}; sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)"
    )
    try:
        run = subprocess.run([venv / "bin" / "python", "-I", "-c", test], capture_output=True, check=False)
    except OSError:
        return False
    return run.returncode == 0


def _empty(venv: Path) -> None:
    """Remove what is in the folder but the log and the lock; not the folder: it may be a link to a larger disk."""
    for path in list(venv.iterdir()):
        if path.name in ("install.lock", "install.log"):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[int]:
    """Hold the lock file; wait, and say so, while another call installs. Gives its descriptor."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("dartboard: another call is installing right now; waiting for it to finish ...", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
