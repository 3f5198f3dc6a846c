"""Measuring by graphs: replayed batches have the bits of called ones. Torch's operations stand for a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from darts_core.data.batches import Normaliser
from darts_core.genotypes import KNOWN
from darts_core.kernels import loader
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.models.supernet import SearchNetwork
from darts_core.spaces import SPACES
from darts_core.training.control import UNCONTROLLED
from darts_core.training.metrics import Measured, graphed_batches, measure
from darts_core.training.step_graphs import StepGraphs
from tests.support import recorded_operations

CPU = torch.device("cpu")
IMAGES = 15  # seven batches of two, and one


@pytest.fixture(autouse=True)
def torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our kernels for CPUs are no operations of torch's, which the recording consists of."""
    monkeypatch.setattr(loader, "available", lambda dtype: False)


def supernet() -> nn.Module:
    return SearchNetwork(SPACES["darts"].primitives, channels=2, layers=3, nodes=2, classes=3, fused=True)


def retrained() -> nn.Module:
    network = EvaluationNetwork(KNOWN["DARTS_V2"], channels=2, layers=3, classes=3)
    network.set_drop_path(0.3, torch.Generator())
    return network


def passes(build: Callable[[], nn.Module], make: Callable[[nn.Module], StepGraphs | None]) -> list[Measured]:
    """Measure three times, with other weights, alphas and statistics in the same places."""
    torch.manual_seed(0)
    network = build()
    images = torch.randint(256, (IMAGES, 3, 8, 8), dtype=torch.uint8)
    labels = torch.randint(3, (IMAGES,))
    normalise = Normaliser((0.5,) * 3, (0.25,) * 3, CPU, torch.float32)
    graphs, found = make(network), []
    for _ in range(3):
        with torch.no_grad():
            for tensor in (*network.parameters(), *getattr(network, "alphas", {}).values()):
                tensor.add_(0.1 * torch.randn_like(tensor))
            for buffer in network.buffers():
                buffer.mul_(2)
        found.append(measure(network, images, labels, normalise, control=UNCONTROLLED, batch_size=2, graphs=graphs))
    return found


@pytest.mark.parametrize("build", [supernet, retrained])
def test_replayed_batches_have_the_bits_of_called_ones(build: Callable[[], nn.Module]) -> None:
    recordings = replays = 0

    def capture(call: Callable[[], tuple[Tensor, ...]], _: object) -> Any:
        nonlocal recordings
        recordings += 1
        replay, result = recorded_operations.captured(call)

        def counted() -> None:
            nonlocal replays
            replays += 1
            replay()

        return counted, result

    graphed = passes(build, lambda network: graphed_batches(network, None, capture=capture))
    assert graphed == passes(build, lambda _: None)
    assert (recordings, replays) == (1, 4 + 7 + 7)
