"""Compiles the CPU kernels once per machine and version, and loads them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import platform
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import torch

from darts_core.kernels import levels
from darts_core.training.stages import KERNELS, stage

logger = logging.getLogger(__name__)

_SOURCES: Final = Path(__file__).with_name("cpu")
_FLAGS: Final = (
    "-std=c++20",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    # A compile flag only: linking with it would add a second OpenMP runtime beside torch's.
    "-fopenmp",
    "-DAT_PER_OPERATOR_HEADERS",
)
SWITCH: Final = "DARTBOARD_KERNELS"
"""Environment variable: `off`, a level to compile for (`native`, `v2`, `v3`, `v4`), or the kernels' cache folder."""


@cache
def available() -> bool:
    """Whether the kernels (`torch.ops.dartboard`) are usable. The first call compiles them, in a minute or two.

    Logs a warning with the cause if they are not.
    """
    if os.environ.get(SWITCH) == "off":
        return False
    try:
        level, cache = chosen()
        torch.ops.load_library(_built(level, cache))  # type: ignore[no-untyped-call]
    except Exception as error:
        logger.warning("no CPU kernels, going on in torch's own operations: %s", _reason(error))
        return False
    return True


def chosen() -> tuple[str, Path]:
    """Return the level and the cache folder of `DARTBOARD_KERNELS`.

    Raises:
        ValueError: The value is neither a level nor a path, or this processor does not support the level.
    """
    value = os.environ.get(SWITCH) or levels.NATIVE
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dartboard"
    if os.sep in value:
        return levels.NATIVE, Path(value)
    if value not in levels.FLAGS:
        raise ValueError(f"{SWITCH}={value}: give off, {', '.join(levels.FLAGS)}, or a folder's path (./{value})")
    if lacking := levels.lacking(value):
        raise ValueError(f"{SWITCH}={value}: this processor lacks {', '.join(lacking)}")
    return value, cache


def _built(level: str, cache: Path) -> Path:
    """Return the path of the compiled library; compiles it if it is not cached."""
    sources = sorted(_SOURCES.iterdir())
    flags = ("-O3", levels.FLAGS[level], *_FLAGS)
    folder = cache / f"dartboard_{_key(sources, flags)}"
    library = folder / "kernels.so"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    # Includes the wait for another process that compiles them.
    with stage(KERNELS), _alone(folder / "building"):
        if not library.exists():
            with _quiet(logging.getLogger("torch.utils.cpp_extension")):
                from torch.utils.cpp_extension import load  # searches for CUDA on import

            logger.info("compiling the CPU kernels, once for this machine")
            # A process that was killed while compiling leaves this file, for which others would wait forever.
            (folder / "lock").unlink(missing_ok=True)
            with _quiet(logging.getLogger("torch.utils.cpp_extension")):
                load(
                    name := f"kernels_{uuid.uuid4().hex}",  # torch does not retry a name that failed
                    [str(source) for source in sources if source.suffix == ".cpp"],
                    extra_cflags=list(flags),
                    build_directory=str(folder),
                    is_python_module=False,
                )
            (folder / f"{name}.so").rename(library)
    return library


def _key(sources: list[Path], flags: tuple[str, ...] = _FLAGS) -> str:
    """Hash everything that determines the compiled code."""
    parts = (torch.__version__, platform.machine(), levels.processor(), *flags)
    digest = hashlib.sha256(" ".join(parts).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file; the system releases it if the process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _quiet(other: logging.Logger) -> Iterator[None]:
    """Suppress the logger's warnings, which concern irrelevant compilers and GPUs."""
    before = other.level
    other.setLevel(logging.ERROR)
    try:
        yield
    finally:
        other.setLevel(before)


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # The message of a failed compilation starts with the command, followed by the errors.
    telling = next((line for line in lines if "error" in line.lower() and "building extension" not in line), None)
    return (telling or (lines[0] if lines else type(error).__name__))[:300]
