"""Averaged SGD takes the steps of torch's, and asks the host for nothing."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from darts_core.training.averaged_sgd import AveragedSGD
from tests.support.asking import Asking
from tests.support.same_bits import assert_same_bits

STEPS = 300
Optimizer = AveragedSGD | torch.optim.ASGD


def weights_of(dtype: torch.dtype) -> list[nn.Parameter]:
    """Of odd sizes, scalar, and not contiguous."""
    torch.manual_seed(0)
    shapes = [torch.randn(37, 19), torch.randn(()), torch.randn(4099), torch.randn(7, 5).t()]
    return [nn.Parameter(shape.to(dtype)) for shape in shapes]


def of_torch(weights: list[nn.Parameter], weight_decay: float) -> torch.optim.ASGD:
    return torch.optim.ASGD(weights, lr=20.0, t0=0, lambd=0.0, weight_decay=weight_decay)


def take_steps(optimizer: Optimizer, weights: list[nn.Parameter], numbers: range) -> None:
    """Of a new gradient and learning rate each; the last weight has a gradient in every third step only."""
    for number in numbers:
        source = torch.Generator().manual_seed(number)
        optimizer.param_groups[0]["lr"] = 20.0 * (0.3 + 0.7 * (number % 7) / 7)
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=source, dtype=weight.dtype)
        if number % 3:
            weights[-1].grad = None
        optimizer.step()


@pytest.mark.parametrize("weight_decay", [0.0, 1.2e-6, 0.01])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_and_means_are_torchs_bit_for_bit(dtype: torch.dtype, weight_decay: float) -> None:
    ours, theirs = weights_of(dtype), weights_of(dtype)
    mine = AveragedSGD(ours, lr=20.0, weight_decay=weight_decay)
    truth = of_torch(theirs, weight_decay)
    for numbers in (range(1), range(1, 2), range(2, 3), range(3, 10), range(10, STEPS)):
        take_steps(mine, ours, numbers)
        take_steps(truth, theirs, numbers)
        assert_same_bits(ours, theirs)
        assert_same_bits(mine.state_dict(), truth.state_dict())


@pytest.mark.parametrize("taken", [0, 1, 2, 50])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("torch_first", [True, False])
def test_either_goes_on_from_the_others_state(dtype: torch.dtype, taken: int, torch_first: bool) -> None:
    weights, theirs = weights_of(dtype), weights_of(dtype)
    mine, truth = AveragedSGD(weights, lr=1.0, weight_decay=0.01), of_torch(weights, 0.01)
    first, then = (truth, mine) if torch_first else (mine, truth)
    take_steps(first, weights, range(taken))
    then.load_state_dict(copy.deepcopy(first.state_dict()))
    take_steps(then, weights, range(taken, taken + 50))
    undisturbed = of_torch(theirs, 0.01)
    take_steps(undisturbed, theirs, range(taken + 50))
    assert_same_bits(weights, theirs)
    assert [then.state[w]["ax"].tolist() for w in weights] == [undisturbed.state[w]["ax"].tolist() for w in theirs]


def test_a_step_asks_the_host_for_no_number() -> None:
    weights = weights_of(torch.float32)
    optimizer = AveragedSGD(weights, lr=1.0, weight_decay=0.01)
    with Asking() as ours:
        take_steps(optimizer, weights, range(4))
    with Asking() as theirs:
        take_steps(of_torch(weights, 0.01), weights, range(4))
    assert ours.asked == []
    assert theirs.asked  # else the line above could not fail


def test_scalars_keep_their_place_whatever_the_rate() -> None:
    weights = weights_of(torch.float64)
    optimizer = AveragedSGD(weights, lr=1.0, weight_decay=0.0)
    take_steps(optimizer, weights, range(1))
    scalars = [optimizer.state[weight][name] for weight in weights for name in ("step", "eta", "mu")]
    before = [scalar.data_ptr() for scalar in (optimizer.rate(), *scalars)]
    take_steps(optimizer, weights, range(1, 20))
    scalars = [optimizer.state[weight][name] for weight in weights for name in ("step", "eta", "mu")]
    assert [scalar.data_ptr() for scalar in (optimizer.rate(), *scalars)] == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_steps_replayed_from_a_graph_give_the_bits_of_steps_that_are_called() -> None:
    called, replayed = ([nn.Parameter(w.detach().cuda()) for w in weights_of(torch.float32)] for _ in range(2))
    mine, truth = (AveragedSGD(weights, lr=1.0, weight_decay=0.01) for weights in (replayed, called))
    gradients = [torch.zeros_like(weight) for weight in replayed]
    for weight, gradient in zip(replayed, gradients, strict=True):
        weight.grad = gradient
    graph = torch.cuda.CUDAGraph()
    for number in range(12):
        source = torch.Generator().manual_seed(number)
        drawn = [torch.randn(weight.shape, generator=source).cuda() for weight in called]
        for weight, gradient, new in zip(called, gradients, drawn, strict=True):
            weight.grad = new
            gradient.copy_(new)
        mine.param_groups[0]["lr"] = truth.param_groups[0]["lr"] = 1.0 + number
        truth.step()
        mine.rate()
        if number < 3:
            mine.step()
            continue
        if number == 3:
            torch.cuda.synchronize()
            with torch.cuda.graph(graph):
                mine.step()
        graph.replay()
    assert_same_bits([*replayed], [*called])
    assert_same_bits([mine.state[w]["ax"] for w in replayed], [truth.state[w]["ax"] for w in called])
