"""Runs the compiler of the CPU kernels as a child, which ends with this process. Imports no torch."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from darts_core.errors import Stopped
from darts_core.kernels.compile_library import compiler_command
from darts_core.kernels.library import Library
from darts_core.runtime.process import Command, Process, Spawner
from darts_core.training.control import current_control
from darts_core.training.stages import COMPILING, stage

_CODE: Final = Path(__file__).parents[2]
_LOOK: Final = 0.1  # seconds between two questions whether the run shall stop
_GRACE: Final = 2.0  # seconds for the child to stop its compilers


def compile_for_run(library: Library) -> None:
    """Compile the library, or wait until another process has, as a stage of the run.

    Raises:
        Stopped: The run's control asks for it.
        RuntimeError: The compilation failed.
    """
    with stage(COMPILING), compiling(library) as process:
        while not process.wait(_LOOK):
            if current_control().should_stop():
                raise Stopped("stopped while compiling the CPU kernels")
        if process.code:
            reason = process.log_tail(1) or f"the compiler ended with exit code {process.code}"
            raise RuntimeError(reason[:300])


@contextmanager
def compiling(library: Library) -> Iterator[Process]:
    """Compile the library in a child while the block runs; stop it where the block ends earlier."""
    library.make_folder()
    arguments = [library.level, library.number, str(library.cache.absolute()), "--sources", str(library.sources)]
    spawner = Spawner()
    process = Process(
        "kernels",
        Command(
            [sys.executable, "-m", "darts_core.kernels.compile_library", *arguments],
            os.environ,
            _CODE,
            death_signal=signal.SIGTERM,
        ),
        library.folder / "log",
        spawner,
        grace=_GRACE,
    )
    try:
        process.start()
        yield process
    finally:
        process.stop()
        spawner.close()


def has_compiler() -> bool:
    return shutil.which(compiler_command()[0]) is not None
