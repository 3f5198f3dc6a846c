"""Installs Dartboard into .venv with uv, then executes the requested command.

./dartboard runs it under the machine's Python, before anything is installed: standard library only, no imports of ours.
pip, which comes with Python, installs only uv. Messages go to standard error; standard output is the command's.
"""

import ast
import contextlib
import errno
import fcntl
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

FOR_DEVELOPERS = ("test", "check", "docs")  # commands; ./dartboard has the same list
INSTALLED_GB = 7.0  # torch with CUDA and everything else, unpacked
CPU_INSTALLED_GB = 2.5  # the same with torch for CPUs
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's own index, with the builds without CUDA
_CUDA = re.compile(r"(torch|torchvision|triton|cuda-.*|nvidia-(?!ml-py).*)")  # not needed by CPU builds
_TICK = 0.25  # seconds between two updates of the clock in the progress line
_QUIET = 2.5  # seconds between two lines without a terminal
# pip's settings, and uv's equivalent variables.
_SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
}


class BootstrapError(Exception):
    """The installation failed. The message gives the reason and a remedy."""


class _WaitInterrupted(Exception):
    """Ctrl-C while waiting for another installation."""


def main(arguments: list[str]) -> int:
    """Install if needed, then execute the command. Returns an exit code only on failure."""
    root = Path(__file__).resolve().parents[1]
    for ending in (signal.SIGTERM, signal.SIGHUP):  # a kill must take uv along, too; `nohup` keeps its effect
        if signal.getsignal(ending) is signal.SIG_DFL:
            signal.signal(ending, signal.default_int_handler)
    try:
        install(root, developers=arguments[:1] != [] and arguments[0] in FOR_DEVELOPERS)
    except BootstrapError as error:
        print(f"dartboard: {error}", file=sys.stderr)
        return 1
    except _WaitInterrupted:
        print("\ndartboard: no longer waiting; the other call's installation goes on.", file=sys.stderr)
        return 130
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
    """Bring root/.venv up to date with pyproject.toml and constraints.txt. Raises BootstrapError.

    developers: include the tools of tests and checks, which later installations keep.
    """
    venv = root / ".venv"
    wanted_build = wanted_torch(os.environ)
    try:
        venv.mkdir(exist_ok=True)
        with _only_one(venv / "install.lock") as lock:
            if _is_current(root, venv, developers=developers, build=wanted_build):
                return  # another call installed it while this one waited
            if wanted_build == "auto":
                wanted_build = _read(venv / "torch") or "auto"  # keep an earlier choice
            developers = developers or ((venv / "installed").exists() and not (venv / "without-dev").exists())
            _Installation(root, venv, lock, developers=developers, build=wanted_build).run()
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else f"{error.strerror}: {error.filename}"
        raise BootstrapError(
            f"cannot install into {venv} ({reason}). Make it writable or make room, then try again."
        ) from error


def stamp(root: Path) -> str:
    """A text that identifies a current installation; ./dartboard builds the same one."""
    return f"{root}\n" + _read(root / "pyproject.toml") + _read(root / "constraints.txt")


def wanted_torch(environment: Mapping[str, str]) -> str:
    """DARTBOARD_TORCH: `cpu`, `cuda`, or `auto`, which takes a build for CPUs when there is no GPU and the package
    index has one. Raises BootstrapError for another value.
    """
    wanted = environment.get("DARTBOARD_TORCH") or "auto"
    if wanted not in ("auto", "cpu", "cuda"):
        raise BootstrapError(f"DARTBOARD_TORCH={wanted}: give cpu, cuda or auto.")
    return wanted


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA driver."""
    return any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/dxg")) or shutil.which("nvidia-smi") is not None


class _Installation:
    """Consecutive runs of uv under one lock, log and clock."""

    def __init__(self, root: Path, venv: Path, lock: int, *, developers: bool, build: str) -> None:
        self._root, self._venv, self._bin, self._lock = root, venv, venv / "bin", lock
        self._developers, self._wanted_build = developers, build
        self._requirements = _read(root / "requirements" / ("dev.txt" if developers else "user.txt"))
        torch = re.findall(r"^torch(?:vision)?==[^\s;]+", self._requirements, re.MULTILINE)
        self._cpu_builds = [f"{pin}+cpu" for pin in torch]
        self._progress = Progress(sys.stderr)
        self._temporary = venv / "tmp"
        # pip refuses --user in a virtual environment; its output must be in the log before anything changes.
        own = {"PIP_USER": "0", "PYTHONUNBUFFERED": "1", "TMPDIR": str(self._temporary)}
        self._environment = {**os.environ, **own}
        self._indexes: list[str] = []
        self._cache = venv / "cache"

    def run(self) -> None:
        """Raises BootstrapError; the next call completes an interrupted installation."""
        venv, unfinished = self._venv, self._venv / "unfinished"
        if unfinished.exists():
            # A package may be partly installed, and uv would consider it complete.
            _empty(venv)
        self._log_path = venv / "install.log"
        check_disk(venv, needed=CPU_INSTALLED_GB if self._may_be_without_cuda() else INSTALLED_GB)
        print(f"dartboard: installing into {venv} (once; log: {self._log_path})", file=sys.stderr)
        wanted = stamp(self._root)  # read now: an edit during the installation requires another one
        self._log_path.write_bytes(b"")
        try:
            self._temporary.mkdir(exist_ok=True)
            if not _runs(venv, "pip"):
                self._make_environment()
            unfinished.touch()
            try:
                self._get_uv()
                build = self._install()
            except BaseException:
                if not self._progress.changing:
                    unfinished.unlink()  # nothing has changed yet; the old installation stays valid
                raise
        except BaseException:
            self._progress.end("")
            raise
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)
            _sweep(self._cache)
        self._progress.end("installed")
        (venv / "torch").write_text(build, encoding="utf-8")
        (venv / "without-dev").unlink(missing_ok=True) if self._developers else (venv / "without-dev").touch()
        (venv / "installed").write_text(wanted, encoding="utf-8")
        unfinished.unlink()

    def _may_be_without_cuda(self) -> bool:
        return self._wanted_build == "cpu" or (self._wanted_build == "auto" and not has_gpu())

    def _make_environment(self) -> None:
        if _runs(self._venv):  # made by another tool, without pip
            command = [str(self._bin / "python"), "-m", "ensurepip"]
        else:
            _empty(self._venv)
            command = [sys.executable, "-m", "venv", str(self._venv.resolve())]  # venv refuses to follow a link
        if self._run(command)[0] != 0:
            raise BootstrapError(
                f"cannot make a virtual environment in {self._venv}: {' '.join(command)} failed; log: {self._log_path}"
                "\n  Debian, Ubuntu: apt install python3-venv. Or choose another Python: "
                "DARTBOARD_PYTHON=/path/to/python3"
            )

    def _get_uv(self) -> None:
        """Install uv with pip, adopt pip's settings, and choose uv's cache."""
        pip = [str(self._bin / "python"), "-m", "pip", "--no-input", "--disable-pip-version-check"]
        requirements = str(self._root / "requirements" / "installer.txt")
        self._must([*pip, "install", "--progress-bar=off", "--require-hashes", "-r", requirements])
        self._environment, self._indexes = uv_settings(self._must([*pip, "config", "list"]), self._environment)
        self._cache = Path(self._must([str(self._bin / "uv"), "cache", "dir"]).splitlines()[-1])
        if "UV_CACHE_DIR" not in os.environ and not _links(self._cache, self._venv):
            self._cache = self._venv / "cache"
        self._environment |= {"UV_CACHE_DIR": str(self._cache), "UV_PYTHON": str(self._bin / "python")}

    def _install(self) -> str:
        """Install everything; returns the build of torch."""
        index = self._index_without_cuda() if self._may_be_without_cuda() else None
        build = "cuda" if index is None else "cpu"
        if build == "cuda":
            check_disk(self._venv)
        self._announce(build)
        if _read(self._venv / "torch") not in ("", build):
            names = {name for name in present(self._venv) if _CUDA.fullmatch(name)}
            self._uv("uninstall", *sorted(names))
        requirements = self._requirements
        if index is not None:
            self._uv("install", "--no-deps", *index, *self._cpu_builds)
            requirements = without_cuda(requirements)
        else:  # by its full version: 2.14.1+cpu is newer than 2.14.1
            requirements = re.sub(r"^(torch|torchvision)==", r"\1===", requirements, flags=re.MULTILINE)
        chosen = self._venv / "requirements.txt"
        chosen.write_text(requirements, encoding="utf-8")
        self._uv("install", "--no-deps", *self._indexes, "--require-hashes", "-r", str(chosen))
        # Its dependencies are installed by now, including setuptools.
        self._uv("install", "--no-deps", *self._indexes, "--no-build-isolation", "-e", ".")
        self._put_on_path()
        return build

    def _put_on_path(self) -> None:
        """Put the checkout and its `sdk` on the environment's path.

        An editable installation's finder comes after the path. Next to a checkout called `dartboard`, a script's own
        folder would make `import dartboard` find that checkout as a namespace package; a regular package on the path
        wins.
        """
        for packages in self._venv.glob("lib/python*/site-packages"):
            (packages / "dartboard.pth").write_text(f"{self._root}\n{self._root / 'sdk'}\n", encoding="utf-8")

    def _announce(self, build: str) -> None:
        """Print size and time beforehand."""
        if "torch" in present(self._venv) and _read(self._venv / "torch") in ("", build):
            return  # an upgrade: most packages are installed
        if build == "cpu":
            size, other = "1.5 GB (torch for CPUs", "; DARTBOARD_TORCH=cuda takes the other one"
        else:
            size, other = "6 GB (torch with CUDA", ""
            if self._wanted_build == "auto" and not has_gpu():
                other = f"; the index in use has no build for CPUs, DARTBOARD_TORCH=cpu takes it from {TORCH_INDEX}"
        self._progress.say(f"about {size}{other}), 1 to 15 minutes; uv's cache: {self._cache}")

    def _index_without_cuda(self) -> list[str] | None:
        """uv's options for the index with builds for CPUs; None when there is none.

        Raises BootstrapError when DARTBOARD_TORCH=cpu and none exists. Only then is PyTorch's own index queried.
        """
        if sys.platform != "linux" or not self._cpu_builds:
            return None  # other systems have a single build
        wanted = self._wanted_build == "cpu"
        elsewhere = os.environ.get("DARTBOARD_TORCH_INDEX") or TORCH_INDEX
        install = [str(self._bin / "uv"), "pip", "install", "--no-deps", "--dry-run", "--quiet"]
        indexes = {"the package index in use": self._indexes}
        if wanted:
            indexes[elsewhere] = ["--default-index", elsewhere]
        reasons = []
        for name, options in indexes.items():
            code, said = self._run([*install, *options, *self._cpu_builds])
            if code == 0:
                return options
            reasons.append(unreachable(said) or f"{name} does not have {self._cpu_builds[0]}")
        if not wanted:
            return None
        reason = f"DARTBOARD_TORCH=cpu: {'; '.join(reversed(reasons))}."
        with self._log_path.open("a", encoding="utf-8") as log:
            log.write(f"{reason}\n")
        raise BootstrapError(
            f"{reason}\n"
            "  DARTBOARD_TORCH_INDEX=URL names an index that has it; DARTBOARD_TORCH=cuda takes the build with CUDA.\n"
            f"  log: {self._log_path}"
        )

    def _uv(self, verb: str, *arguments: str) -> None:
        self._must([str(self._bin / "uv"), "pip", verb, *arguments])

    def _must(self, command: list[str]) -> str:
        """Run a program and return its output. Raises BootstrapError on failure."""
        code, said = self._run(command)
        if code != 0:
            self._progress.changing = bool(re.search("Could not install|Failed to (un)?install", said))
            raise BootstrapError(failure(said, self._log_path))
        return said

    def _run(self, command: list[str]) -> tuple[int, str]:
        """Run a program, log and parse its output, and update the clock. Returns its exit code and output."""
        before = len(_read(self._log_path))
        with self._log_path.open("ab", buffering=0) as log:
            log.write(f"$ {' '.join(command[:3])}\n".encode())
            process = subprocess.Popen(
                command,
                cwd=self._root,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(self._lock,),  # if only this process is killed, uv keeps the lock
                process_group=0,  # a process group, including the builds of packages
            )
        try:
            code = None
            while code is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = process.wait(_TICK)
                self._progress.read(said := _read(self._log_path)[before:])
                self._progress.show()
        except BaseException:  # run() removes the temporary files
            with contextlib.suppress(ProcessLookupError):  # already ended
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._progress.read(_read(self._log_path)[before:])
            raise
        return code, said


def uv_settings(listed: str, environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """uv's environment and options for pip's settings, as printed by `pip config list`. UV_... variables win."""
    settings = {"cert": environment.get("REQUESTS_CA_BUNDLE") or environment.get("CURL_CA_BUNDLE") or ""}
    for section in ("global", "install", ":env:"):  # later values win
        for name, value in re.findall(rf"^{section}\.([a-z-]+)=(.*)$", listed, re.MULTILINE):
            settings[name] = str(ast.literal_eval(value))
    found = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # pip's rule: the hashes decide, not the index
    if environment.get("PYTHONDONTWRITEBYTECODE"):  # otherwise the first import compiles each module
        found["UV_COMPILE_BYTECODE"] = "1"
    for name, variable in _SETTINGS.items():
        if values := settings.get(name, "").split():
            found[variable] = ("," if name == "find-links" else " ").join(values)
    if "SSL_CERT_FILE" not in found and ssl.get_default_verify_paths().cafile:
        found["UV_SYSTEM_CERTS"] = "1"
    own = {name: value for name, value in environment.items() if name.startswith("UV_")}
    no_index = settings.get("no-index", "").lower() in ("1", "true", "t", "yes", "y", "on")
    return {**environment, **found, **own}, ["--no-index"] if no_index else []


def without_cuda(requirements: str) -> str:
    """Drop torch, and the packages that only its CUDA build needs, from a requirements file."""
    entries = re.split(r"^(?=\S)", requirements, flags=re.MULTILINE)
    names = [normalised(re.split(r"[^A-Za-z0-9._-]", entry)[0]) for entry in entries]
    return "".join(entry for name, entry in zip(names, entries, strict=True) if not _CUDA.fullmatch(name))


def check_disk(venv: Path, environment: Mapping[str, str] = os.environ, *, needed: float = INSTALLED_GB) -> None:
    """Raise BootstrapError when the disk is too small. DARTBOARD_INSTALL_GB overrides the estimate."""
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


def failure(said: str, log: Path) -> str:
    """One line with the reason of pip's or uv's failure, then the log's path and a remedy."""
    reasons = re.findall(r"^(?:ERROR|error|  cause): (.+)", said, re.MULTILINE)
    first, last = (reasons[0], reasons[-1]) if reasons else 2 * ((said.strip().splitlines() or ["no output"])[-1],)
    network = re.search(
        r"\w*(?:Connection|Timeout|Resolution|Proxy|SSL)Error|Failed to fetch|error sending request", said
    )
    if "No space left on device" in said:
        reason, advice = "the disk is full", "Make room (UV_CACHE_DIR moves uv's cache to another disk)"
    elif network:
        reason = f"cannot reach the package index ({network.group() if network.group().endswith('Error') else last})"
        advice = "Check the network; behind a proxy set HTTPS_PROXY, for a mirror PIP_INDEX_URL"
    elif re.search(r"from versions: none|not found in the (package registry|provided package locations)", said):
        reason = f"{last} (the package index does not have it, or cannot be reached)"
        advice = "Check the network and PIP_INDEX_URL"
    elif re.search(r"No matching distribution|no wheels with a matching", said):
        reason = last
        advice = "Python or this machine may be too new or too unusual for it: DARTBOARD_PYTHON chooses another Python"
    else:
        reason, advice = first if first == last else f"{first}: {last}", "See the log"
    return f"installation failed: {reason}.\n  log: {log}\n  {advice}, then run the same command again."


def unreachable(said: str) -> str:
    """Which server uv did not reach and why, as in `cannot reach https://host: its name does not resolve`, or ""."""
    server = re.search(r"error sending request for url \((https?://)(?:[^/@\s]*@)?([^/\s)]+)", said)
    if server is None:
        return ""
    if re.search("dns error|failed to lookup address|name resolution", said):
        reason = "its name does not resolve"
    else:
        reason = re.findall(r"^(?:error|  cause): (.+)", said, re.MULTILINE)[-1]
    return f"cannot reach {''.join(server.groups())}: {reason}"


class Progress:
    """Parses uv's output: one live line on a terminal, otherwise a line every few seconds."""

    def __init__(self, output: TextIO) -> None:
        self.changing = False  # whether uv may be changing the environment
        self._output = output
        self._live = output.isatty()
        self._began = time.monotonic()
        self._shown_at = float("-inf")
        self._downloads: dict[str, str] = {}  # current downloads, with their sizes
        self._phase = "preparing"

    def read(self, said: str) -> None:
        """Parse the output so far."""
        before = self._phase
        begun = re.search(r"^(?:Resolved( \d+ packages?)|Installing collected|\$ .* pip uninstall)", said, re.MULTILINE)
        self._downloads = dict(re.findall(r"^Downloading (\S+) \((.+iB)\)$", said, re.MULTILINE))
        for done in re.findall(r"^ Downloaded (\S+)$", said, re.MULTILINE):
            self._downloads.pop(done, None)
        if begun:
            self._phase = f"installing{begun.group(1) or ''}"
        self.changing = begun is not None and not self._downloads  # uv changes nothing before that
        if not self._live and self._phase != before:
            self._shown_at = float("-inf")

    def show(self) -> None:
        """Show the current state; without a terminal only on a new phase or every few seconds."""
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
        """For example: installing 92 packages, downloading torch (507.3MiB) and 3 more ... 1m12s."""
        names = list(self._downloads)
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        downloads = f", downloading {names[0]} ({self._downloads[names[0]]}){more}" if names else ""
        return f"{self._phase}{downloads} ... {duration(time.monotonic() - self._began)}"

    def say(self, message: str) -> None:
        """Print a permanent line."""
        self._clear()
        self._output.write(f"dartboard: {message}\n")
        self._output.flush()

    def end(self, message: str) -> None:
        """End the live line, or print a final line without a terminal."""
        self._clear()
        if message:
            self._output.write(f"dartboard: {message} in {duration(time.monotonic() - self._began)}\n")
        self._output.flush()

    def _clear(self) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._output.write("\r" + " " * width + "\r")


def present(venv: Path) -> set[str]:
    """Normalised names of the installed packages."""
    return {normalised(path.name.split("-")[0]) for path in venv.glob("lib/python*/site-packages/*.dist-info")}


def normalised(name: str) -> str:
    """Normalise a package's name as an index does."""
    return re.sub(r"[-_.]+", "-", name).lower()


def duration(seconds: float) -> str:
    """Seconds as 1m12s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def _is_current(root: Path, venv: Path, *, developers: bool, build: str) -> bool:
    if _read(venv / "installed") != stamp(root) or not (venv / "bin" / "dartboard").exists() or not _runs(venv, "pip"):
        return False
    if developers and (venv / "without-dev").exists():
        return False
    return build in ("auto", _read(venv / "torch"))


def _runs(venv: Path, *modules: str) -> bool:
    """Whether this is a virtual environment with a working, recent enough Python and these modules."""
    test = (
        f"import {', '.join(('sys', *modules))}; sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)"
    )
    try:
        run = subprocess.run([venv / "bin" / "python", "-I", "-c", test], capture_output=True, check=False)
    except OSError:
        return False
    return run.returncode == 0


def _empty(venv: Path) -> None:
    """Empty the folder except log, lock and cache; the folder may be a link to a larger disk."""
    for path in list(venv.iterdir()):
        if path.name in ("install.lock", "install.log", "cache", "tmp"):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _links(cache: Path, venv: Path) -> bool:
    """Whether uv can hard-link files from the cache into the environment: one disk, both writable."""
    probe = cache / f".tmp-{os.getpid()}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        os.link(venv / "install.lock", probe)
        probe.unlink()
    except OSError:
        return False
    return True


def _sweep(cache: Path) -> None:
    """Remove partial files of an interrupted uv from its cache, unless another uv uses it."""
    with contextlib.suppress(OSError), (cache / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in cache.glob(".tmp*"):
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[int]:
    """Acquire the lock file, waiting with a message during another installation. Yields its descriptor.

    Raises _WaitInterrupted for Ctrl-C during the wait.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                print("dartboard: another call is installing right now; waiting for it to finish ...", file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
            except KeyboardInterrupt:
                raise _WaitInterrupted from None
        yield file.fileno()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
