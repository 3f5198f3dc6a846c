"""A step of training a found cell from scratch: as Dartboard does it against the straightforward way, in one run.

Both have the same weights and take the same images out of the same bytes. What is timed is a whole step: batch and
augmentation, both passes, clipping, SGD, and the sums that an epoch's loss and accuracy come from.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any, Final, Literal

import torch

from client.benchmarks.machine import dispatched_operations, matrix_product_speed
from client.benchmarks.memory import Peak
from client.benchmarks.plain_evaluation import plain_batch, plain_optimizer, plain_step
from darts_core.configs import EvaluationConfig
from darts_core.data.feeding import Normaliser
from darts_core.data.images import ImageData
from darts_core.data.order import generator
from darts_core.distributed.group import ALONE
from darts_core.kernels import building
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.profile import Shape as NetworkShape
from darts_core.profile import profile
from darts_core.training.evaluation_step import evaluation_step, weight_optimizer
from darts_core.training.measuring import Tally
from darts_core.training.run import DeviceData

Version = Literal["plain", "fused"]
VERSIONS: Final[tuple[Version, ...]] = ("plain", "fused")

_CLASSES: Final = 10
_CPU: Final = torch.device("cpu")
_DROP_PATH: Final = 0.1  # half-way through the preset's epochs
_PART: Final = "training"
_BATCHES: Final = 4
# A forward pass, and back to maps and to weights.
_PASSES: Final = 3


@dataclass(frozen=True)
class Shape:
    """What is trained, and on how large batches of how large images."""

    batch: int
    channels: int
    layers: int
    image: int
    genotype: str
    auxiliary: bool


def measure(
    shape: Shape, *, pairs: int, versions: Sequence[Version] = VERSIONS, say: Callable[[str], None]
) -> dict[str, Any]:
    """Medians of alternating steps; the peak memory of each version in a process of its own; losses from equal weights.

    gemm_share: what part of the speed of a large matrix product, measured in the same run, the step reaches, if the
    cells' convolutions and the classifier are what has to be computed, three times.
    """
    runs = {version: _Run(shape, version) for version in versions}
    losses = {version: run.step() or 0.0 for version, run in runs.items()}  # also the first, slow one
    seconds: dict[str, list[float]] = {version: [] for version in versions}
    speeds = [matrix_product_speed()]
    for pair in range(pairs):
        for version, run in runs.items():
            start = time.perf_counter()
            run.step()
            seconds[version].append(time.perf_counter() - start)
        speeds.append(matrix_product_speed())
        say(f"pair {pair + 1}/{pairs}: " + ", ".join(f"{v} {seconds[v][-1]:.3f} s" for v in versions))
    operations = {version: dispatched_operations(run.step) for version, run in runs.items()}
    del runs  # the processes that measure memory need theirs
    memory = {version: _memory(shape, version) for version in versions}

    speed, flops = median(speeds), _flops(shape)
    result: dict[str, Any] = {
        "shape": asdict(shape),
        "threads": torch.get_num_threads(),
        "kernels": building.available(),
        "gemm_gflops": speed / 1e9,
        "step_gflop": flops / 1e9,
        "seconds": seconds,
    }
    for version in versions:
        middle = median(seconds[version])
        result |= {
            f"{version}_seconds": middle,
            f"{version}_memory": memory[version],
            f"{version}_ops": operations[version],
            f"{version}_loss": losses[version],
            f"{version}_gemm_share": flops / middle / speed,
        }
    if set(versions) == set(VERSIONS):
        ratios = [plain / fused for plain, fused in zip(seconds["plain"], seconds["fused"], strict=True)]
        result |= {
            "speedup": median(ratios),
            "memory_ratio": memory["fused"] / memory["plain"],
            "ops_ratio": operations["fused"] / operations["plain"],
            "gemm_share": result["fused_gemm_share"],
            "loss_difference": abs(losses["fused"] - losses["plain"]),
        }
    return result


class _Run:
    """A network with its optimiser, and images of noise."""

    def __init__(self, shape: Shape, version: Version) -> None:
        self._plain = version == "plain"
        self._config = _config(shape)
        torch.manual_seed(0)
        self._source = _noise(shape)
        self._part = torch.arange(len(self._source.train_labels))
        self._network = EvaluationNetwork(
            self._config.cell(),
            channels=shape.channels,
            layers=shape.layers,
            classes=_CLASSES,
            auxiliary=shape.auxiliary,
        ).train()
        self._network.set_drop_path(_DROP_PATH, generator(0, "drop-path"))
        if self._plain:
            self._optimizer = plain_optimizer(self._network, self._config)
        else:
            self._network.to(memory_format=torch.channels_last)
            self._optimizer = weight_optimizer(self._network.parameters(), self._config, _CPU)
            source = self._source
            data = DeviceData(
                source,
                source.train_images,
                source.train_labels,
                Normaliser(source.mean, source.std, _CPU),
                _CPU,
                ALONE,
            )
            self._feed = data.feed(self._part, _PART, self._config, shape.batch)
            self._tally = Tally(_CPU)
        self._steps = 0

    def step(self) -> float | None:
        """The next step; its loss in nats, which the fast version tells of the first one alone."""
        number, self._steps = self._steps, self._steps + 1
        if self._plain:
            batch = plain_batch(self._source, self._part, _PART, self._config, number, _BATCHES)
            return plain_step(self._network, self._optimizer, batch, self._config)[0]
        batch = self._feed.batch(number)
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


def _memory(shape: Shape, version: Version) -> int:
    """Bytes of resident memory that the network and two steps need at most, in a process of their own."""
    command = [sys.executable, "-m", "client.benchmarks.evaluation_step", version, json.dumps(asdict(shape))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.splitlines()[-1])


def _measure_memory(version: Version, shape: Shape) -> int:
    # What torch sets up at its first products and derivatives is none of the network's.
    _Run(replace(shape, batch=2, channels=2, layers=3), version).step()
    peak = Peak()
    run = _Run(shape, version)
    for _ in range(2):
        run.step()
    return peak.bytes()


if __name__ == "__main__":
    sys.stdout.write(f"{_measure_memory(sys.argv[1], Shape(**json.loads(sys.argv[2])))}\n")  # type: ignore[arg-type]
