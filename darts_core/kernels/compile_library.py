"""Compiles a library of CPU kernels as a process, `python -m darts_core.kernels.compile_library LEVEL NUMBER [CACHE]`.

One process at a time compiles a library; others wait for it and find it. Finished objects stay when it is stopped, and
the next process goes on from there. SIGTERM stops it at once, together with the compilers that it started.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from darts_core.kernels.library import SHIPPED, SOURCES, Library


def main() -> None:
    """Exits 1 with the reason in one line when a kernel cannot be compiled."""
    parser = argparse.ArgumentParser(description="Compiles the CPU kernels.")
    parser.add_argument("level")
    parser.add_argument("number")
    parser.add_argument("cache", type=Path, nargs="?", default=SHIPPED, help="by default where an image has its own")
    parser.add_argument("--sources", type=Path, default=SOURCES)
    options = parser.parse_args()
    with contextlib.suppress(PermissionError):  # it leads a session, and so a group, already
        os.setpgid(0, 0)
    for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ending, lambda *_: os.killpg(0, signal.SIGKILL))
    try:
        compile_library(Library(options.level, options.number, options.cache, options.sources))
    except (OSError, RuntimeError) as error:
        sys.exit(str(error))


def compile_library(library: Library) -> None:
    """Raises RuntimeError with the first error of a compiler, and OSError."""
    library.make_folder()
    with _alone(library.folder / "building"):
        if library.path.exists():
            return
        # The largest take longest: none of them is left over at the end.
        sources = sorted(library.sources.glob("*.cpp"), key=lambda source: -source.stat().st_size)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None) as pool:
            objects = list(pool.map(lambda source: _compile(library, source), sources))
        torch = _torch() / "lib"
        # macOS resolves torch's symbols in the process that loads the library.
        loose = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()
        made = [str(each) for each in objects]
        _run("-shared", *loose, *made, f"-L{torch}", "-ltorch_cpu", into=library.path)
        for each in objects:
            each.unlink()


def _compile(library: Library, source: Path) -> Path:
    made = library.folder / f"{source.stem}.o"
    if not made.exists():
        _run(*library.flags, "-isystem", str(_torch() / "include"), "-c", str(source), into=made)
    return made


def _run(*arguments: str, into: Path) -> None:
    unfinished = into.with_name(f"{into.name}.unfinished")
    compiler = compiler_command()
    try:
        ended = subprocess.run(
            [*compiler, *arguments, "-o", str(unfinished)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise RuntimeError(
            f"cannot run {compiler[0]} ({error.strerror}): install a C++ compiler, or name it in CXX"
        ) from error
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line.strip()]
        telling = next((line for line in lines if "error:" in line), lines[0] if lines else "no output")
        raise RuntimeError(f"{compiler[0]} failed ({ended.returncode}): {telling.strip()}")
    unfinished.replace(into)


def compiler_command() -> Sequence[str]:
    """The C++ compiler: `CXX`, or c++."""
    return shlex.split(os.environ.get("CXX", "")) or ["c++"]


def _torch() -> Path:
    """The folder of torch, without importing it."""
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("torch is not installed")
    return Path(spec.submodule_search_locations[0])


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file; the system releases it if the process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
