"""Names the compiled libraries of CPU kernels: what they are made of and where they lie. Imports no torch."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Final

from darts_core.kernels import levels

SWITCH: Final = "DARTBOARD_KERNELS"
"""Environment variable: `off`, a level to compile for (`native`, `v2`, `v3`, `v4`), or the libraries' cache folder."""
FLAGS: Final = (
    "-std=c++20",
    "-O3",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
    "-fvisibility=hidden",  # two libraries in a process have functions of the same names
    "-w",
)
NUMBERS: Final = {"float32": "float", "float64": "double"}
"""C++ type by torch's type of numbers. A library is compiled for one."""
SOURCES: Final = Path(__file__).with_name("cpu")
SHIPPED: Final = Path(__file__).with_name("built")
"""Libraries that an image of the worker brings along."""
_SHIPPED_LEVELS: Final = ("v4", "v3")


@dataclass(frozen=True)
class Library:
    """The kernels for one level and type of numbers, in a folder of the cache that its sources and flags determine."""

    level: str
    number: str
    cache: Path
    sources: Path = SOURCES

    @property
    def name(self) -> str:
        """The namespace of its operators in `torch.ops`."""
        return f"dartboard_{self.number}"

    @property
    def flags(self) -> tuple[str, ...]:
        return *FLAGS, levels.FLAGS[self.level], f"-DNUMBER={NUMBERS[self.number]}", f"-DLIBRARY={self.name}"

    @cached_property
    def folder(self) -> Path:
        # Several machines may share a cache; only `native` depends on the processor.
        machine = (platform.machine(), levels.processor() if self.level == levels.NATIVE else "")
        digest = hashlib.sha256(" ".join((version("torch"), *machine, *self.flags)).encode())
        for source in sorted(self.sources.iterdir()):
            digest.update(source.name.encode() + source.read_bytes())
        return self.cache / f"{self.name}_{digest.hexdigest()[:16]}"

    @property
    def path(self) -> Path:
        return self.folder / "kernels.so"

    def make_folder(self) -> None:
        """Raises PermissionError if the folder belongs to another user."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        self.check_owner()

    def check_owner(self) -> None:
        """Raises PermissionError if the folder belongs to another user, whose code must not be loaded."""
        if self.folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{self.folder} belongs to another user")


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


def wanted(number: str) -> Library:
    """Return the library to compile on this machine. Raises ValueError as `chosen` does."""
    level, cache = chosen()
    return Library(level, number, cache, SOURCES)


def shipped(level: str, number: str) -> list[Library]:
    """Return those libraries of the image that serve a level and run on this processor, the best first."""
    suitable = [each for each in _SHIPPED_LEVELS if level in (levels.NATIVE, each)] if SHIPPED.exists() else []
    found = [Library(each, number, SHIPPED, SOURCES) for each in suitable if levels.supported(each)]
    return [library for library in found if library.path.exists()]
