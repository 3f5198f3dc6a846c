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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

EXTRAS = "api,worker,local,onnx"
DEVELOPERS = f"{EXTRAS},dev"
FOR_DEVELOPERS = ("test", "check", "docs")  # commands; ./dartboard has the same list
INSTALLED_GB = 7.0  # torch with CUDA and everything else, unpacked
CPU_INSTALLED_GB = 2.5  # the same with torch for CPUs alone
DOWNLOADS_GB = 3.0  # what pip holds at one time in the temporary directory
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"  # of PyTorch itself; has the builds without CUDA
_CUDA = re.compile(r"(torch|torchvision|triton|cuda-.*|nvidia-(?!ml-py).*)")  # what a build without CUDA replaces
_TICK = 0.25  # seconds between two updates of the clock in the progress line
_QUIET = 2.5  # seconds between two lines where there's no terminal
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
        install(root, developers=arguments[:1] != [] and arguments[0] in FOR_DEVELOPERS)
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


def install(root: Path, *, developers: bool = False) -> None:
    """Bring root/.venv up to what pyproject.toml and constraints.txt say. Raises BootstrapError.

    developers: with the tools of tests and checks. They stay once they are there.
    """
    venv = root / ".venv"
    wanted_build = wanted_torch(os.environ)
    try:
        venv.mkdir(exist_ok=True)
        with _only_one(venv / "install.lock") as lock:
            if _is_current(root, venv, developers=developers, build=wanted_build):
                return  # another call did it while we waited
            if wanted_build == "auto":
                wanted_build = _read(venv / "torch") or "auto"  # what was chosen stays chosen
            developers = developers or ((venv / "installed").exists() and not (venv / "without-dev").exists())
            _Installation(root, venv, lock, developers=developers, build=wanted_build).run()
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else f"{error.strerror}: {error.filename}"
        raise BootstrapError(
            f"cannot install into {venv} ({reason}). Make it writable or make room, then try again."
        ) from error


def stamp(root: Path) -> str:
    """What decides whether an installation is current; ./dartboard builds the same text."""
    return f"{root}\n" + _read(root / "pyproject.toml") + _read(root / "constraints.txt")


def wanted_torch(environment: Mapping[str, str]) -> str:
    """DARTBOARD_TORCH: `cpu`, `cuda`, or `auto`, which takes a build for CPUs where there is no GPU and the package
    index in use has one. Raises BootstrapError for another value.
    """
    wanted = environment.get("DARTBOARD_TORCH") or "auto"
    if wanted not in ("auto", "cpu", "cuda"):
        raise BootstrapError(f"DARTBOARD_TORCH={wanted}: give cpu, cuda or auto.")
    return wanted


def has_gpu() -> bool:
    """Whether an NVIDIA GPU's driver is on this machine."""
    return any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/dxg")) or shutil.which("nvidia-smi") is not None


class _Installation:
    """One run of pip after another, with the lock held, all in one log and under one clock."""

    def __init__(self, root: Path, venv: Path, lock: int, *, developers: bool, build: str) -> None:
        self._root, self._venv, self._lock = root, venv, lock
        self._developers, self._wanted_build = developers, build
        self._constraints = _read(root / "constraints.txt")
        requirements = _read(root / "requirements" / ("dev.txt" if developers else "user.txt"))
        self._requirements = requirements
        self._progress = Progress(requirements or self._constraints, venv, sys.stderr)

    def run(self) -> None:
        """Raises BootstrapError; what an interrupted call left is finished by the next one."""
        venv, unfinished = self._venv, self._venv / "unfinished"
        if unfinished.exists():
            # A package may be there in part, which pip would take for whole.
            _empty(venv)
        self._log_path = venv / "install.log"
        check_disk(venv, needed=CPU_INSTALLED_GB if self._may_be_without_cuda() else INSTALLED_GB)
        print(f"dartboard: installing into {venv} (once; log: {self._log_path})", file=sys.stderr)
        wanted = stamp(self._root)  # as it is now: an edit during the installation asks for another one
        with self._log_path.open("w", encoding="utf-8", errors="replace") as self._log:
            try:
                if not _usable(venv):
                    self._make_environment()
                unfinished.touch()
                try:
                    build = self._install()
                except BaseException:
                    if not self._progress.changing:
                        unfinished.unlink()  # nothing has been touched yet; what's there stays good
                    raise
            except BaseException:
                self._progress.end("")
                raise
            self._progress.end("installed")
        (venv / "torch").write_text(build, encoding="utf-8")
        (venv / "without-dev").unlink(missing_ok=True) if self._developers else (venv / "without-dev").touch()
        (venv / "installed").write_text(wanted, encoding="utf-8")
        unfinished.unlink()

    def _may_be_without_cuda(self) -> bool:
        return self._wanted_build == "cpu" or (self._wanted_build == "auto" and not has_gpu())

    def _install(self) -> str:
        """Install everything; the build of torch that it is."""
        index = self._index_without_cuda() if self._may_be_without_cuda() else None
        build = "cuda" if index is None else "cpu"
        if build == "cuda":
            check_disk(self._venv)
        self._announce(build)
        if _read(self._venv / "torch") not in ("", build):  # pip takes one build of a version for the other
            names = {name for name in self._progress.present() if _CUDA.fullmatch(name)}
            self._pip("uninstall", "--yes", *sorted(names))
        requirements = self._requirements
        if index is not None:
            pins = [f"{name}=={self._version(name)}+cpu" for name in ("torch", "torchvision")]
            self._pip("install", "--no-deps", *index, *pins)
            requirements = without_cuda(requirements)
        else:  # by its whole version: pip takes 2.14.1+cpu for the newer 2.14.1
            requirements = re.sub(r"^(torch|torchvision)==", r"\1===", requirements, flags=re.MULTILINE)
        if requirements:
            chosen = self._venv / "requirements.txt"
            chosen.write_text(requirements, encoding="utf-8")
            self._pip("install", "--require-hashes", "--no-deps", "-r", str(chosen))
        # All that it needs is there by now; its own build takes setuptools out of the environment.
        isolated = ["--no-build-isolation"] if requirements else []
        extras = DEVELOPERS if self._developers else EXTRAS
        constraints = str(self._root / "constraints.txt")
        self._pip("install", *isolated, "-c", constraints, "-e", f".[{extras}]")
        return build

    def _announce(self, build: str) -> None:
        """Size and time beforehand."""
        if self._progress.present() >= {"torch"} and _read(self._venv / "torch") in ("", build):
            return  # an upgrade: most of it is there
        size, why = ("about 1.5 GB", "torch for CPUs") if build == "cpu" else ("about 6 GB", "torch with CUDA")
        self._progress.say(f"{size} ({why}{self._other_way(build)}), 2 to 15 minutes")

    def _other_way(self, build: str) -> str:
        if build == "cpu":
            return "; DARTBOARD_TORCH=cuda takes the other one"
        if self._wanted_build == "auto" and not has_gpu():
            return f"; the index in use has no build for CPUs, DARTBOARD_TORCH=cpu takes it from {TORCH_INDEX}"
        return ""

    def _index_without_cuda(self) -> list[str] | None:
        """pip's options for where builds for CPUs are: [] for the index in use. None where there are none.

        Raises BootstrapError where one is wanted by name. PyTorch's own index is asked only then.
        """
        if sys.platform != "linux":
            return None  # elsewhere the package index has no other builds
        wanted = self._wanted_build == "cpu"
        elsewhere = os.environ.get("DARTBOARD_TORCH_INDEX") or TORCH_INDEX
        for options in ([], ["--index-url", elsewhere]) if wanted else ([],):
            if self._offers_cpu_builds(options):
                return options
        if not wanted:
            return None
        raise BootstrapError(
            f"DARTBOARD_TORCH=cpu: neither the package index in use nor {elsewhere} has "
            f"torch=={self._version('torch')}+cpu.\n  DARTBOARD_TORCH_INDEX=URL names an index that has "
            "it; DARTBOARD_TORCH=cuda takes the build with CUDA."
        )

    def _offers_cpu_builds(self, options: list[str]) -> bool:
        if not self._version("torch"):
            return False
        command = [str(self._venv / "bin" / "python"), "-m", "pip", "index", "versions", "torch", *options]
        known: list[str] = []
        self._run([*command, "--disable-pip-version-check", "--timeout=10", "--retries=0"], known.append)
        return any(f"{self._version('torch')}+cpu" in re.split(r"[\s,]+", line) for line in known)

    def _version(self, package: str) -> str:
        found = re.search(rf"^{package}==(\S+)", self._constraints, re.MULTILINE)
        return found.group(1) if found else ""

    def _make_environment(self) -> None:
        if _runs(self._venv):  # by another tool, without pip
            command = [str(self._venv / "bin" / "python"), "-m", "ensurepip"]
        else:
            _empty(self._venv)
            command = [sys.executable, "-m", "venv", str(self._venv.resolve())]  # through a link it refuses to go
        if self._run(command) != 0:
            raise BootstrapError(
                f"cannot make a virtual environment in {self._venv}: {' '.join(command)} failed; log: {self._log_path}"
                "\n  Debian, Ubuntu: apt install python3-venv. Or choose another Python: "
                "DARTBOARD_PYTHON=/path/to/python3"
            )

    def _pip(self, verb: str, *arguments: str) -> None:
        command = [str(self._venv / "bin" / "python"), "-m", "pip", verb, "--no-input", "--disable-pip-version-check"]
        command += ["--progress-bar=off"] if verb == "install" else []
        self._progress.changing = self._progress.changing or verb == "uninstall"
        if self._run([*command, *arguments]) != 0:
            raise BootstrapError(pip_failure(_read(self._log_path), self._log_path))

    def _run(self, command: list[str], tell: Callable[[str], object] = lambda line: None) -> int:
        def take(line: str) -> None:
            self._log.write(line)
            self._log.flush()
            self._progress.read(line)
            tell(line)

        return _run(command, self._root, take, self._progress.show, self._lock)


def without_cuda(requirements: str) -> str:
    """The entries of a requirements file but for those of torch and what its build with CUDA needs."""
    entries = re.split(r"^(?=\S)", requirements, flags=re.MULTILINE)
    names = [normalised(re.split(r"[^A-Za-z0-9._-]", entry)[0]) for entry in entries]
    return "".join(entry for name, entry in zip(names, entries, strict=True) if not _CUDA.fullmatch(name))


def check_disk(venv: Path, environment: Mapping[str, str] = os.environ, *, needed: float = INSTALLED_GB) -> None:
    """Raise BootstrapError when the disk can't take the installation. DARTBOARD_INSTALL_GB replaces our estimate."""
    has_torch = any(venv.glob("lib/python*/site-packages/torch/__init__.py"))
    try:
        needed = float(environment.get("DARTBOARD_INSTALL_GB") or (1.0 if has_torch else needed))
    except ValueError:
        raise BootstrapError("DARTBOARD_INSTALL_GB must be a number of gigabytes, for example 7.") from None
    free = shutil.disk_usage(venv).free / 1e9
    if free < needed:
        raise BootstrapError(
            f"not enough disk space: {venv} needs about {needed:.0f} GB (most of it PyTorch), and {free:.1f} "
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
            present = self.present()
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

    def say(self, message: str) -> None:
        """A line that stays."""
        self._clear()
        self._output.write(f"dartboard: {message}\n")
        self._output.flush()

    def end(self, message: str) -> None:
        """Close the live line, or say the last word without one."""
        self._clear()
        if message:
            self._output.write(f"dartboard: {message} in {duration(time.monotonic() - self._began)}\n")
        self._output.flush()

    def _clear(self) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._output.write("\r" + " " * width + "\r")

    def present(self) -> set[str]:
        """Normalised names of the packages that the environment has."""
        found = self._venv.glob("lib/python*/site-packages/*.dist-info")
        return {normalised(path.name.split("-")[0]) for path in found}


def normalised(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def duration(seconds: float) -> str:
    """Seconds as 1m12s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def _run(command: list[str], root: Path, take: Callable[[str], None], tick: Callable[[], None], lock: int) -> int:
    """Run a program, hand on what it says, tick meanwhile. Returns its exit code."""
    process = subprocess.Popen(
        command,
        cwd=root,
        env={**os.environ, "PIP_USER": "0", "PYTHONUNBUFFERED": "1"},  # --user is refused in a venv
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),  # should we be killed alone, the lock stays until it has ended
        process_group=0,  # with the programs that build packages, which end with it
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    code: int | None = None
    try:
        while True:
            with contextlib.suppress(queue.Empty):
                if (line := lines.get(timeout=_TICK)) is None:
                    break
                take(line)
            tick()
        code = process.wait()
    finally:
        if code is None and process.poll() is None:  # interrupted
            os.killpg(process.pid, signal.SIGINT)
            # Python loses a signal that comes while it cleans up after an object.
            forced = threading.Timer(_PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
            forced.start()
            while (line := lines.get()) is not None:
                take(line)
            process.wait()
            forced.cancel()
    return code


def _is_current(root: Path, venv: Path, *, developers: bool, build: str) -> bool:
    if _read(venv / "installed") != stamp(root) or not (venv / "bin" / "dartboard").exists() or not _usable(venv):
        return False
    if developers and (venv / "without-dev").exists():
        return False
    return build in ("auto", _read(venv / "torch"))


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
