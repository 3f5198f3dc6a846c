"""Converts stored checkpoints on the first request, in a child process, and keeps the result."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Final, Literal
from weakref import WeakValueDictionary

import structlog

from api.artifacts import Artifacts, Stored
from api.artifacts.errors import unusable
from api.http.problems import conflict
from api.sandbox import ChildDiedError, ask
from darts_core.errors import CheckpointError

# A checkpoint of a gigabyte takes some seconds on a slow disk.
WITHIN_SECONDS: Final = 120.0
_AT_ONCE: Final = 2
_REMEMBERED: Final = 1000
_REMEMBERED_SECONDS: Final = 3600.0
_log = structlog.get_logger(__name__)

Format = Literal["safetensors", "pytorch"]
SUFFIXES: Final[dict[Format, str]] = {"safetensors": ".safetensors", "pytorch": ".py"}


class Converter:
    """Runs one conversion per file and few in total. A file that failed is refused for an hour."""

    def __init__(self, store: Artifacts, within_seconds: float = WITHIN_SECONDS) -> None:
        self._store, self._within = store, within_seconds
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._files: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._refused: OrderedDict[tuple[str, Format], tuple[str, float]] = OrderedDict()

    async def converted(self, stored: Stored, to: Format) -> Stored:
        """The weights as safetensors, or the network as a module of plain PyTorch.

        Raises ProblemError 409 if the file has no weights, or no network of one cell, or takes too long.
        """
        lock = self._files.setdefault(stored.key, asyncio.Lock())
        async with lock:
            why, until = self._refused.get((stored.sha256, to), ("", 0.0))
            if time.monotonic() < until:
                raise conflict(why)
            try:
                return await self._store.derived(stored.key, SUFFIXES[to], partial(self._make, _name(stored), to))
            except CheckpointError as error:
                why = f"the checkpoint cannot be converted to {to}: {error}"
                self._remember((stored.sha256, to), why)
                raise conflict(why) from error

    def _remember(self, refused: tuple[str, Format], why: str) -> None:
        self._refused[refused] = why, time.monotonic() + _REMEMBERED_SECONDS
        while len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)

    async def _make(self, name: str, format_: Format, checkpoint: Path, to: Path) -> None:
        order = _order(checkpoint, to) | {"name": name, "format": format_}
        try:
            async with self._turns:
                result = await ask(
                    "api.checkpoints.convert_child", order, stderr=to.with_name("stderr"), within_seconds=self._within
                )
        except TimeoutError as error:
            raise CheckpointError(f"reading it took longer than {self._within:g} s") from error
        except ChildDiedError as error:
            _log.error("conversion_died", code=error.code, stderr=error.trace)
            raise CheckpointError(f"reading it crashed (exit code {error.code})") from error
        if "errno" in result:
            raise unusable(OSError(result["errno"], result["strerror"]))
        if "error" in result:
            raise CheckpointError(result["error"])


def _name(stored: Stored) -> str:
    """The file's name without the checksum in its key."""
    return stored.key.rpartition("/")[2].removeprefix(f"{stored.sha256}-")


def _order(checkpoint: Path, to: Path) -> dict[str, str]:
    # The child has another working directory.
    return {"checkpoint": str(checkpoint.absolute()), "to": str(to.absolute())}
