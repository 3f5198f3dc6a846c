"""Records a step by torch's operations on the CPU and replays it without Python, as a CUDA graph does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from tests.support.asking import Asking

Result = TypeVar("Result")


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps each operation with its arguments. Raises RuntimeError for one that hands a number to the host.

    A replay runs the same operations on the same memory: numbers that Python computed in between stay what they were.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._calls: list[tuple[Any, Any, Any, list[tuple[int, Tensor]]]] = []
        self._made: set[int] = set()
        self._before: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in Asking.WAITING:
            raise RuntimeError(f"{func} is not permitted in a recording")
        kwargs = kwargs or {}
        given = {_address(leaf): leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for address, tensor in given.items():
            if address not in self._made and address not in self._before:
                self._before[address] = (_memory(tensor), _memory(tensor).clone())
        found = func(*args, **kwargs)
        made = [
            (number, leaf.detach())
            for number, leaf in enumerate(tree_leaves(found))
            if isinstance(leaf, Tensor) and _address(leaf) not in given  # not for views and results in place
        ]
        self._made |= {_address(tensor) for _, tensor in made}
        # Aliases keep the memory, and leave the references alone that autograd counts.
        self._calls.append((func, *tree_map(_alias, (args, kwargs)), made))
        return found

    def undo(self) -> None:
        """Put back all numbers that were there before: recording computes nothing."""
        for memory, before in self._before.values():
            memory.copy_(before)

    @torch.no_grad()
    def replay(self) -> None:
        """Run the operations again."""
        for func, args, kwargs, made in self._calls:
            found = tree_leaves(func(*args, **kwargs))
            for number, tensor in made:
                tensor.copy_(found[number])


def captured(call: Callable[[], Result]) -> tuple[Callable[[], None], Result]:
    """Record a call. Returns its replay, and its result, which each replay overwrites."""
    operations = Operations()
    with operations:
        result = call()
    operations.undo()
    return operations.replay, result


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _memory(tensor: Tensor) -> Tensor:
    """All bytes of the memory that the tensor looks at."""
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())


def _alias(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value
