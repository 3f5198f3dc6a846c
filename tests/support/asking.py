"""Counts what waits for the device: numbers and sizes that the host asks it for."""

from __future__ import annotations

from typing import Any

from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class Asking(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that hand a number of the device to Python, or whose result's size it must be asked for."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "item")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asked: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in self.WAITING:
            self.asked.append(str(func))
        return func(*args, **(kwargs or {}))


class Fetching(TorchFunctionMode):
    """Counts the methods that fetch a whole tensor, which on a CPU dispatch nothing."""

    FETCHING = ("tolist", "item", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__")

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in self.FETCHING:
            self.asked.append(func.__name__)
        return func(*args, **(kwargs or {}))
