"""Records what a fused search step launches on a GPU, on a machine without one.

The step's own code runs on the CPU, except that no Triton kernel runs: its arguments are recorded instead.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from triton.runtime.jit import KernelInterface

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD, FlatWeights
from darts_core.bilevel.step import search_step
from darts_core.data.batches import Batch
from darts_core.kernels import gpu
from darts_core.models.fused import preprocess
from darts_core.models.supernet import SearchNetwork
from darts_core.spaces import SPACES
from darts_core.training.matmul_precision import tf32

_CLASSES: Final = 10
# Besides views: they get memory, describe tensors and marks, or read Adam's number of steps, which is on the CPU.
_NO_KERNEL: Final = {
    *("_unsafe_view", "empty", "new_empty", "empty_like", "promote_types", "_local_scalar_dense"),
    *("_record_function_enter_new", "_record_function_exit"),
}


@dataclass(frozen=True)
class Launch:
    """One launch of a Triton kernel. arguments: tensors are given by their type. options: compile-time constants."""

    kernel: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]


@dataclass
class Launches:
    """What a step launches: Triton's kernels, and how often each torch operation, which is one kernel or several."""

    kernels: list[Launch] = field(default_factory=list)
    operations: Counter[str] = field(default_factory=Counter)


def launches_of_step(
    *, channels: int, layers: int, nodes: int = 4, image: int = 32, precision: str = "float32", images: int = 2
) -> Launches:
    """Record a first-order step of the DARTS space.

    precision: float32, tf32 or bf16, which has TF32 too.
    """
    torch.manual_seed(0)
    primitives = SPACES["darts"].primitives
    with recording() as found, tf32(precision != "float32"):
        network = SearchNetwork(primitives, channels=channels, layers=layers, nodes=nodes, classes=_CLASSES, fused=True)
        network.share_statistics_storage()
        optimizer = FlatSGD(FlatWeights(network), lr=0.025, momentum=0.9, weight_decay=3e-4)
        architect = Architect(network, optimizer, order=1, lr=3e-4, weight_decay=1e-3)
        pixels = torch.randn(2, images, 3, image, image)
        training, validation = (Batch(part, torch.randint(_CLASSES, (images,))) for part in pixels)
        optimizer.rate()  # gathers the weights, as before any step
        found.kernels.clear()
        found.operations.clear()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16", cache_enabled=False):
            search_step(network, architect, optimizer, training, validation, 5.0)
    return found


@contextlib.contextmanager
def recording() -> Iterator[Launches]:
    """Record all that is launched while the context is open, in which no kernel computes anything."""
    found = Launches()

    def stub(kernel: Any, _: object) -> Any:
        def launch(*arguments: Any, **options: Any) -> None:
            found.kernels.append(Launch(kernel, _types(arguments), options))

        return launch

    with (
        patch.object(KernelInterface, "__getitem__", stub),
        patch.object(gpu, "serves", lambda _: True),
        patch.object(preprocess, "_suits", lambda *_: False),  # a kernel for CPUs
        _Operations(found.operations),
    ):
        yield found


def _types(argument: Any) -> Any:
    if isinstance(argument, tuple):
        return tuple(map(_types, argument))
    return argument.dtype if isinstance(argument, torch.Tensor) else argument


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that compute."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name not in _NO_KERNEL and not func.is_view:
            self._found[name] += 1
        return func(*args, **(kwargs or {}))
