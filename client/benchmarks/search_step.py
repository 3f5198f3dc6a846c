"""A search step of a convolutional network: the fused arrangement against the plain one, side by side in one run.

Both have the same weights and see the same batches. What is timed is a whole step: the architect's and the weights'.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch

from client.benchmarks.pairs import VERSIONS, Version, compare, tell_memory
from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD, FlatWeights
from darts_core.bilevel.step import search_step
from darts_core.data.feeding import Batch
from darts_core.models.dilated import DilatedDepthwise
from darts_core.models.supernet import SearchNetwork
from darts_core.primitives import CNN_SPACES
from darts_core.profile import Shape as NetworkShape
from darts_core.profile import search_cost

_NODES: Final = 4
_CLASSES: Final = 10
_SPACE: Final = CNN_SPACES["darts"]

# Passes through the network's products in a step, a forward pass counting one. Order 1: forwards and back to the alphas
# (2); forwards and back to maps and weights (3). Order 2: the virtual step (3), the validation loss there (3), both
# sides of the difference (2 each), the weight step (3).
_PASSES: Final = {1: 5, 2: 13}


@dataclass(frozen=True)
class Shape:
    """What is searched. tuned: give the plain network its own best settings, which are not the authors'."""

    batch: int
    channels: int
    layers: int
    order: Literal[1, 2]
    image: int
    tuned: bool


def measure(
    shape: Shape, *, pairs: int, versions: Sequence[Version] = VERSIONS, say: Callable[[str], None]
) -> dict[str, Any]:
    """What `compare` says, if the plain network's convolutions and linear layers are what has to be computed."""
    return compare(_Run, shape, module=__name__, flops=_flops(shape), pairs=pairs, versions=versions, say=say)


class _Run:
    """A network with its optimisers, and two batches of noise."""

    def __init__(self, shape: Shape, version: Version) -> None:
        self._phased = version == "plain" and shape.tuned
        torch.manual_seed(0)
        self._network = SearchNetwork(
            _SPACE,
            channels=shape.channels,
            layers=shape.layers,
            nodes=_NODES,
            classes=_CLASSES,
            fused=version == "fused",
        ).train()
        options: dict[str, Any] = {"lr": 0.025, "momentum": 0.9, "weight_decay": 3e-4}
        self._optimizer: torch.optim.SGD
        if version == "fused":
            self._network.lay_statistics_together()
            self._optimizer = FlatSGD(FlatWeights(self._network), **options)
        else:
            if shape.tuned:
                self._network.to(memory_format=torch.channels_last)
            self._optimizer = torch.optim.SGD(self._network.weights(), **options)
        self._architect = Architect(self._network, self._optimizer, order=shape.order, lr=3e-4, weight_decay=1e-3)
        self._batches = [
            Batch(torch.randn(shape.batch, 3, shape.image, shape.image), torch.randint(_CLASSES, (shape.batch,)))
            for _ in range(2)
        ]

    def step(self) -> float:
        """One step; its training loss in nats."""
        with _dilated_phases(self._phased):
            training, validation = self._batches
            loss, _ = search_step(self._network, self._architect, self._optimizer, training, validation, 5.0)
        return float(loss)


@contextlib.contextmanager
def _dilated_phases(wanted: bool) -> Iterator[None]:
    before, DilatedDepthwise.phased = DilatedDepthwise.phased, wanted
    try:
        yield
    finally:
        DilatedDepthwise.phased = before


def _flops(shape: Shape) -> int:
    network = NetworkShape(shape.channels, shape.layers, _CLASSES, shape.image)
    return 2 * search_cost(_SPACE, _NODES, network).multiply_adds * shape.batch * _PASSES[shape.order]


if __name__ == "__main__":
    tell_memory(_Run, Shape, batch=2, channels=2, layers=3, image=8)
