"""Compares Dartboard's retraining step with the plain loop.

Both have the same weights and take the same images from the same bytes. A timed step includes batch and augmentation,
both passes, clipping, SGD, and the sums behind the epoch's loss and accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from benchmarks.machine import Device, Machine
from benchmarks.pairs import VERSIONS, Version, compare, tell_memory
from benchmarks.plain_evaluation import plain_batch, plain_optimizer, plain_step
from darts_core.configs import EvaluationConfig
from darts_core.data.batches import Batch, Normaliser
from darts_core.data.images import ImageData
from darts_core.data.order import generator
from darts_core.distributed.group import ALONE
from darts_core.genotypes import Genotype
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.profile import Shape as NetworkShape
from darts_core.profile import profile
from darts_core.training.evaluation_step import evaluation_step, weight_optimizer
from darts_core.training.fused_sgd import FusedSGD
from darts_core.training.graphed_evaluation import GraphedEvaluation
from darts_core.training.images import DeviceData
from darts_core.training.metrics import RunningMetrics
from darts_core.training.step_graphs import memory_pool

_CLASSES: Final = 10
_DROP_PATH: Final = 0.1  # half of the preset's epochs
_PART: Final = "training"
_BATCHES: Final = 4
# A forward pass, and backward passes to maps and to weights.
_PASSES: Final = 3


@dataclass(frozen=True)
class Shape:
    """Network, batch and image size. compile_cells: in the fast versions."""

    batch: int
    channels: int
    layers: int
    image: int
    genotype: str
    auxiliary: bool
    device: Device = "cpu"
    compile_cells: bool = False

    @property
    def machine(self) -> Machine:
        return Machine(self.device)


def measure(
    shape: Shape, *, pairs: int, versions: Sequence[Version] = VERSIONS, say: Callable[[str], None]
) -> dict[str, Any]:
    """Run `compare`, counting the cells' convolutions and the classifier three times."""
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
    """A network with its optimiser and random images."""

    def __init__(self, shape: Shape, version: Version) -> None:
        self._plain = version == "plain"
        self._config, self._device = _config(shape), torch.device(shape.device)
        torch.manual_seed(0)
        self._source = _noise(shape)
        self._part = torch.arange(len(self._source.train_labels))
        cell = self._config.cell()
        assert isinstance(cell, Genotype)
        self._network = EvaluationNetwork(
            cell,
            channels=shape.channels,
            layers=shape.layers,
            classes=_CLASSES,
            auxiliary=shape.auxiliary,
        ).train()
        self._network.to(self._device).set_drop_path(_DROP_PATH, generator(0, "drop-path", device=self._device))
        self._graphed = None
        if self._plain:
            self._optimizer = plain_optimizer(self._network, self._config)
        else:
            self._network.to(memory_format=torch.channels_last)
            if shape.compile_cells:
                self._network.compile_cells(shape.batch)
            self._optimizer = weight_optimizer(self._network.parameters(), self._config, self._device)
            source = self._source
            data = DeviceData(
                source,
                source.train_images.to(self._device),
                source.train_labels.to(self._device),
                Normaliser(source.mean, source.std, self._device),
                self._device,
                ALONE,
            )
            self._feed = data.feed(self._part, _PART, self._config, shape.batch)
            self._tally = RunningMetrics(self._device)
            if version == "graphed":
                assert isinstance(self._optimizer, FusedSGD)
                self._graphed = GraphedEvaluation(
                    self._network, self._optimizer, self._config, pool=memory_pool(self._device)
                )
        self._steps = 0

    def step(self) -> float | None:
        """Take a step and return its loss in nats; the fast version reports it for the first step only."""
        number, self._steps = self._steps, self._steps + 1
        if self._plain:
            batch = plain_batch(self._source, self._part, _PART, self._config, number, _BATCHES)
            on_device = Batch(*(tensor.to(self._device) for tensor in batch))
            return plain_step(self._network, self._optimizer, on_device, self._config)[0]
        batch = self._feed.batch(number)
        if self._graphed is not None:
            loss, logits = self._graphed(batch)
        else:
            loss, logits = evaluation_step(self._network, self._optimizer, batch, self._config)
        self._tally.add(loss, logits, batch.labels)
        return float(loss) if number == 0 else None


def _config(shape: Shape) -> EvaluationConfig:
    return EvaluationConfig(
        dataset="folder:noise",
        preset="cifar10",
        genotype=shape.genotype,
        batch_size=shape.batch,
        channels=shape.channels,
        layers=shape.layers,
        auxiliary=shape.auxiliary,
        cutout=shape.image // 2,
    ).resolved()


def _noise(shape: Shape) -> ImageData:
    """As many batches as a pass has."""
    count = _BATCHES * shape.batch
    images = torch.randint(256, (count, 3, shape.image, shape.image), dtype=torch.uint8)
    labels = torch.randint(_CLASSES, (count,))
    middle = (0.5, 0.5, 0.5)
    return ImageData(images, labels, images, labels, tuple(map(str, range(_CLASSES))), middle, middle)


def _flops(shape: Shape) -> int:
    network = NetworkShape(shape.channels, shape.layers, _CLASSES, shape.image)
    return 2 * _PASSES * shape.batch * profile(_config(shape).cell(), network).multiply_adds


if __name__ == "__main__":
    tell_memory(_Run, Shape, lambda shape: shape.machine, batch=2, channels=2, layers=3)
