"""Names the stages of a run that are no training steps (loading data, compiling kernels, measuring).

A stage is opened where its work is done, however deep, and told to the listeners of this process, which show it.
Imports no torch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

Listener = Callable[[str | None], None]

PREPARING: Final = "preparing"
LOADING: Final = "loading data"
KERNELS: Final = "preparing: kernels"
COMPILING: Final = "compiling CPU kernels"
GRAPHS: Final = "preparing: CUDA graphs"
CELLS: Final = "preparing: compiling cells"
PROCESSES: Final = "preparing: processes"
MEASURING: Final = "measuring"

_lock = threading.Lock()
_open: list[str] = []
_listeners: list[Listener] = []


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Tell the listeners that this stage lasts while the block runs; of nested stages the innermost counts."""
    with _lock:
        _open.append(name)
    tell(name)
    try:
        yield
    finally:
        with _lock:
            _open.remove(name)
            outer = _open[-1] if _open else None
        tell(outer)


def tell(name: str | None) -> None:
    """Tell the listeners the stage of another process; None for no stage."""
    for listener in list(_listeners):
        listener(name)


def follow(listener: Listener) -> None:
    """Call the listener whenever the stage changes. It must neither block nor raise."""
    _listeners.append(listener)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Follow the stage while the block runs."""
    follow(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
