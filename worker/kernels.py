"""Compiles the CPU kernels while a worker waits for its first job."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from darts_core.kernels.compiler_process import compiling, has_compiler
from darts_core.kernels.library import SWITCH, shipped, wanted
from darts_core.runtime.gpus import visible_gpus

_log = structlog.get_logger(__name__)
_NUMBER = "float32"  # of almost all jobs; others compile theirs when they begin


@contextmanager
def kernels_compiled_beside() -> Iterator[None]:
    """Compile the kernels beside the block, where this machine computes on the CPU and lacks them.

    A job that begins meanwhile waits for this compilation instead of starting another.
    """
    try:
        library = None if os.environ.get(SWITCH) == "off" or visible_gpus(os.environ) else wanted(_NUMBER)
        if library is None or library.path.exists() or shipped(library.level, _NUMBER) or not has_compiler():
            library = None
        else:
            library.make_folder()
    except (OSError, ValueError) as error:  # the first job's log has it, too
        _log.warning("kernels_not_compiled", error=str(error))
        library = None
    if library is None:
        yield
        return
    _log.info("kernels_compiling", folder=str(library.folder))
    with compiling(library):
        yield
