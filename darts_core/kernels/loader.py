"""Loads the CPU kernels, and compiles them first where this machine has no suitable library."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any, Final

import torch

from darts_core.errors import Stopped
from darts_core.kernels.compiler_process import compile_for_run
from darts_core.kernels.library import SWITCH, shipped, wanted

logger = logging.getLogger(__name__)

_loaded: dict[str, str] = {}  # level by type of numbers
_NUMBERS: Final = {torch.float32: "float32", torch.float64: "float64"}


def available(dtype: torch.dtype = torch.float32) -> bool:
    """Whether the kernels for numbers of a type are usable. The first call may compile them, for some seconds.

    Logs a warning with the cause if they are not. Raises Stopped when the run is stopped meanwhile.
    """
    return dtype in _NUMBERS and _usable(_NUMBERS[dtype])


@cache  # a process can load the operators of a number once
def _usable(number: str) -> bool:
    if os.environ.get(SWITCH) == "off":
        return False
    try:
        _load(number)
    except Stopped:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        logger.warning("no CPU kernels, going on in torch's own operations: %s", reason[:300])
        return False
    return True


def level_in_use() -> str:
    """The processor level of the kernels that this process has loaded; `none` if it computes without them."""
    return ", ".join(sorted(set(_loaded.values()))) or "none"


def operators(dtype: torch.dtype) -> Any:
    """The kernels for numbers of a type, where they are available."""
    return getattr(torch.ops, f"dartboard_{_NUMBERS[dtype]}")


def _load(number: str) -> None:
    library = wanted(number)
    if not library.path.exists():
        for brought in shipped(library.level, number):
            try:
                torch.ops.load_library(brought.path)  # type: ignore[no-untyped-call]
            except OSError as error:
                logger.warning("the image's kernels for %s cannot be loaded: %s", brought.level, error)
            else:
                _loaded[number] = brought.level
                return
        logger.info("compiling the CPU kernels for %s, once for this machine", number)
        compile_for_run(library)
    library.check_owner()
    torch.ops.load_library(library.path)  # type: ignore[no-untyped-call]
    _loaded[number] = library.level
