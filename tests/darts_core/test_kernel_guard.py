"""A search step in which Triton fails is taken by torch's operations, as if nothing had been."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Literal

import pytest
import torch
from torch import Tensor

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD, FlatWeights
from darts_core.bilevel.step import search_step
from darts_core.data.batches import Batch
from darts_core.distributed.group import Group
from darts_core.kernels import gpu
from darts_core.methods.method import SearchMethod
from darts_core.models.supernet import SearchNetwork
from darts_core.training.kernel_guard import KernelGuard

errors = pytest.importorskip("triton.runtime.errors", reason="without Triton its errors do not come")


@pytest.fixture(autouse=True)
def kernels() -> Iterator[None]:
    gpu.enable()
    yield
    gpu.disable()


def batch_of(seed: int) -> Batch:
    source = torch.Generator().manual_seed(seed)
    return Batch(torch.randn(4, 3, 8, 8, generator=source), torch.randint(3, (4,), generator=source))


class Steps:
    """Search steps of a new network, of which some fail when the alphas have moved."""

    def __init__(self, order: Literal[1, 2]) -> None:
        torch.manual_seed(0)
        self.network = SearchNetwork(
            ["skip_connect", "sep_conv_3x3"], channels=2, layers=3, classes=3, nodes=1, fused=True
        )
        self.optimizer = FlatSGD(FlatWeights(self.network), lr=0.1, momentum=0.9, weight_decay=3e-4)
        self.architect = Architect(self.network, self.optimizer, order=order, lr=0.1, weight_decay=1e-3)
        self.fails: list[Exception] = []
        self.guard = KernelGuard(self.network, self.optimizer, self.architect.optimizer)

    def _step(self, training: Batch, validation: Batch) -> tuple[Tensor, Tensor]:
        if self.fails:
            self.architect.step(training, validation)
            raise self.fails.pop()
        return search_step(self.network, self.architect, self.optimizer, training, validation, 5.0)

    def take(self, count: int) -> dict[str, Tensor]:
        batches = [(batch_of(2 * n), batch_of(2 * n + 1)) for n in range(count)]
        losses = [
            self.guard.run("the search step", partial(self._step, *pair), *(batch.images.shape for batch in pair))[0]
            for pair in batches
        ]
        return {**self.network.state_dict(), **self.network.alphas, "losses": torch.stack(losses)}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "error", [errors.OutOfResources(300_000, 232_448, "shared memory"), errors.PTXASError("fatal\n// a listing")]
)
def test_a_failed_step_leaves_no_trace(
    order: Literal[1, 2], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    undisturbed, disturbed = Steps(order), Steps(order)
    disturbed.fails.append(error)
    with caplog.at_level(logging.WARNING):
        ours, truth = disturbed.take(3), undisturbed.take(3)
    assert [name for name in truth if not torch.equal(ours[name], truth[name])] == []
    assert not gpu.available()
    assert [record.getMessage() for record in caplog.records] == [f"{gpu.failure()}; torch's own operations compute on"]
    assert "listing" not in str(gpu.failure())


def test_other_errors_end_the_run() -> None:
    steps = Steps(1)
    steps.fails.append(RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        steps.take(1)
    assert gpu.available()


def test_only_the_first_step_of_a_shape_is_guarded() -> None:
    steps = Steps(1)
    steps.take(1)
    steps.fails.append(errors.PTXASError("late"))
    with pytest.raises(errors.PTXASError):
        steps.take(1)


def test_the_first_step_that_trains_the_alphas_is_guarded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(1)
    monkeypatch.setattr(SearchMethod, "trains_alphas", False)
    steps.take(1)
    monkeypatch.setattr(SearchMethod, "trains_alphas", True)
    steps.fails.append(errors.PTXASError("of the alphas' gradient"))
    steps.take(1)
    assert not gpu.available()


def test_on_several_gpus_the_error_ends_the_run() -> None:
    steps = Steps(1)
    steps.guard = KernelGuard(steps.network, steps.optimizer, steps.architect.optimizer, group=Group(0, 2))
    steps.fails.append(errors.PTXASError("on one of them"))
    with pytest.raises(errors.PTXASError):
        steps.take(1)
