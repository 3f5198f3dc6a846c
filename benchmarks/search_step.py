"""Compares the fused search step of convolutional networks with the plain one.

Both have the same weights and batches. A timed step includes the architect's and the weights'. On a GPU the fused step
is timed twice: kernel by kernel and as a CUDA graph.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import Tensor

from benchmarks.machine import Device, Machine, Precision
from benchmarks.pairs import VERSIONS, Version, compare, tell_memory
from benchmarks.plain_evaluation import dilated_phases
from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD, FlatWeights
from darts_core.bilevel.graphed import GraphedStep
from darts_core.bilevel.step import search_step
from darts_core.configs import SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.data.batches import Batch
from darts_core.kernels.gpu.start import enable_kernels
from darts_core.methods.registry import IMPLEMENTATIONS
from darts_core.models.build import build_supernet
from darts_core.profile import Shape as NetworkShape
from darts_core.profile import search_cost
from darts_core.spaces import SPACES
from darts_core.training.matmul_precision import tf32

_NODES: Final = 4
_CLASSES: Final = 10
_GRAD_CLIP: Final = 5.0
_SPACE: Final = SPACES["darts"].primitives

# Passes through the network's products in a step, in forward passes. Order 1: forward and backward to the alphas
# (2), forward and backward to maps and weights (3). Order 2: the virtual step (3), its validation loss (3), both
# sides of the difference (2 each), the weight step (3).
_PASSES: Final = {1: 5, 2: 13}


@dataclass(frozen=True)
class Shape:
    """Network, batch and device. tuned: give the plain network its best settings, which differ from the authors'."""

    batch: int
    channels: int
    layers: int
    order: Literal[1, 2]
    image: int
    tuned: bool
    device: Device = "cpu"
    precision: Precision = "float32"
    method: MethodName = "darts"

    @property
    def machine(self) -> Machine:
        return Machine(self.device, self.precision)


def measure(
    shape: Shape, *, pairs: int, versions: Sequence[Version] = VERSIONS, say: Callable[[str], None]
) -> dict[str, Any]:
    """Run `compare`, counting the plain network's convolutions and linear layers."""
    return compare(
        _Run,
        shape,
        module=__name__,
        flops=_flops(shape),
        pairs=pairs,
        versions=versions,
        say=say,
        machine=shape.machine,
    )


class _Run:
    """A network with its optimisers, and two random batches."""

    def __init__(self, shape: Shape, version: Version) -> None:
        self._phased = version == "plain" and shape.tuned
        self._precision, device = shape.precision, torch.device(shape.device)
        torch.manual_seed(0)
        config = _config(shape)
        enable_kernels(config, device, stem="cifar", size=(shape.image, shape.image))
        # One sampled operation is computed by itself; there is nothing to fuse.
        fused = version != "plain" and not IMPLEMENTATIONS[shape.method].samples_one
        self._network = build_supernet(config, classes=_CLASSES, image_channels=3, stem="cifar", fused=fused).train()
        # In the middle of its schedules, behind epochs that train the weights alone.
        self._network.method.begin_epoch(config.epochs // 2)
        self._network.to(device)
        options: dict[str, Any] = {"lr": 0.025, "momentum": 0.9, "weight_decay": 3e-4}
        self._optimizer: torch.optim.SGD
        if fused:
            self._network.share_statistics_storage()
            self._optimizer = FlatSGD(FlatWeights(self._network), **options)
        else:
            if shape.tuned or version != "plain":
                self._network.to(memory_format=torch.channels_last)
            self._optimizer = torch.optim.SGD(self._network.weights(), **options)
        self._architect = Architect(self._network, self._optimizer, order=shape.order, lr=3e-4, weight_decay=1e-3)
        images = torch.randn(2, shape.batch, 3, shape.image, shape.image).to(device)
        labels = torch.randint(_CLASSES, (2, shape.batch)).to(device)
        self._batches = [Batch(*pair) for pair in zip(images, labels, strict=True)]
        self._graphed, self._steps = None, 0
        if version == "graphed":
            assert isinstance(self._optimizer, FlatSGD)
            self._graphed = GraphedStep(self._network, self._architect, self._optimizer, _GRAD_CLIP)

    def step(self) -> Tensor:
        """Take a step; returns its training loss in nats, perhaps not computed yet."""
        self._network.method.begin_step(self._steps)
        self._steps += 1
        with dilated_phases(self._phased), _precision(self._precision, self._batches[0].images.device.type):
            if self._graphed is not None:
                return self._graphed(*self._batches)[0]
            training, validation = self._batches
            return search_step(self._network, self._architect, self._optimizer, training, validation, _GRAD_CLIP)[0]


@contextlib.contextmanager
def _precision(wanted: Precision, device: str) -> Iterator[None]:
    with tf32(wanted == "tf32" or (wanted == "bf16" and device == "cuda")):
        if wanted != "bf16":
            yield
            return
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            yield


def _flops(shape: Shape) -> int:
    network = NetworkShape(shape.channels, shape.layers, _CLASSES, shape.image)
    cost = search_cost(_SPACE, _NODES, network, partial=_config(shape).partial_channels or 1)
    return 2 * cost.multiply_adds * shape.batch * _PASSES[shape.order]


def _config(shape: Shape) -> SearchConfig:
    return SearchConfig(
        dataset="cifar10",
        method=shape.method,
        order=shape.order,
        channels=shape.channels,
        layers=shape.layers,
        nodes=_NODES,
        batch_size=shape.batch,
        precision="bf16" if shape.precision == "bf16" else "float32",
        tf32=shape.precision != "float32",
    ).resolved()


if __name__ == "__main__":
    tell_memory(_Run, Shape, lambda shape: shape.machine, batch=2, channels=4, layers=3, image=8)
