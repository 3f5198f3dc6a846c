"""Bounds on rounding, for comparing two arrangements of one computation on any processor.

A sum of n terms is off by at most n ulps of its terms (Higham, *Accuracy and Stability of Numerical Algorithms*,
section 3.1). How far such an error travels is the computation's condition, which is measured: the same computation
with every number that goes in moved by one ulp. So a bound is n times that movement, plus n ulps of the result itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

DRAWS = 2
"""Random directions that the condition is measured in."""

Results = Mapping[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)


def nudged(tensors: Iterable[Tensor], draw: int) -> None:
    """Move every number in place by up to about one ulp, in a direction of that draw's."""
    source = torch.Generator().manual_seed(1000 + draw)
    with torch.no_grad():
        for tensor in tensors:
            noise = torch.randn(tensor.shape, generator=source, dtype=torch.float64)
            tensor.mul_(1 + torch.finfo(tensor.dtype).eps * noise.to(tensor.dtype))


def bounds(truth: Results, again: Callable[[int], Results], terms: int) -> dict[str, float]:
    """How far each tensor of another arrangement may be from the truth.

    again: the truth's own computation with its inputs `nudged` by that draw. terms: in the longest sum.
    """
    moved = [again(draw) for draw in range(DRAWS)]
    return {
        name: terms * (_ulp(value) + max(_distance(m[name], value) for m in moved)) for name, value in truth.items()
    }


def assert_within(ours: Results, truth: Results, allowed: Mapping[str, float]) -> None:
    """Each tensor within its bound."""
    assert ours.keys() == truth.keys()
    errors = {name: _distance(ours[name], value) for name, value in truth.items()}
    assert {name: (error, allowed[name]) for name, error in errors.items() if not error <= allowed[name]} == {}


def assert_same_numbers(plain: Network, ours: Network, run: Callable[[Network], Results], terms: int) -> None:
    """What the run finds with our arrangement of a network is within rounding of the plain one's."""
    begun = copy.deepcopy(plain)

    def again(draw: int) -> Results:
        network = copy.deepcopy(begun)
        nudged([*network.parameters(), *getattr(network, "alphas", {}).values()], draw)
        return run(network)

    truth = run(plain)
    assert_within(run(ours), truth, bounds(truth, again, terms))


def sum_tolerance(terms: int, dtype: torch.dtype = torch.float64) -> float:
    """Relative to the largest magnitude that goes into sums of so many terms, whose condition is near 1."""
    return terms * torch.finfo(dtype).eps


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a.detach().double() - b.detach().double()).abs().max()) if b.numel() else 0.0


def _ulp(value: Tensor) -> float:
    if not value.is_floating_point() or not value.numel():
        return 0.0
    return torch.finfo(value.dtype).eps * float(value.detach().abs().max())
