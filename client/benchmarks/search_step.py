"""A search step of a convolutional network: the fused arrangement against the plain one, side by side in one run.

Both have the same weights and see the same batches. What is timed is a whole step: the architect's and the weights'.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final, Literal

import torch

from client.benchmarks.machine import dispatched_operations, matrix_product_speed
from client.benchmarks.memory import Peak
from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD, FlatWeights
from darts_core.bilevel.step import search_step
from darts_core.data.feeding import Batch
from darts_core.kernels import building
from darts_core.models.dilated import DilatedDepthwise
from darts_core.models.supernet import SearchNetwork
from darts_core.primitives import CNN_SPACES
from darts_core.profile import Shape as NetworkShape
from darts_core.profile import search_cost

Version = Literal["plain", "fused"]
VERSIONS: Final[tuple[Version, ...]] = ("plain", "fused")

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
    """Medians of alternating steps; the peak memory of each version in a process of its own; losses from equal weights.

    gemm_share: what part of the speed of a large matrix product, measured in the same run, the step reaches, if the
    plain network's convolutions and linear layers are what has to be computed.
    """
    runs = {version: _Run(shape, version) for version in versions}
    losses = {version: run.step() for version, run in runs.items()}  # also the first, slow one
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


def _memory(shape: Shape, version: Version) -> int:
    """Bytes of resident memory that the network and two steps need at most, in a process of their own."""
    command = [sys.executable, "-m", "client.benchmarks.search_step", version, json.dumps(asdict(shape))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.splitlines()[-1])


def _measure_memory(version: Version, shape: Shape) -> int:
    # What torch sets up at its first products and derivatives is none of the network's.
    small = Shape(**{**asdict(shape), "batch": 2, "channels": 2, "layers": 3, "image": 8})
    _Run(small, version).step()
    peak = Peak()
    run = _Run(shape, version)
    for _ in range(2):
        run.step()
    return peak.bytes()


if __name__ == "__main__":
    sys.stdout.write(f"{_measure_memory(sys.argv[1], Shape(**json.loads(sys.argv[2])))}\n")  # type: ignore[arg-type]
