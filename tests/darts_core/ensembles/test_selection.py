"""The selection of members and their weights, against brute force."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
import torch

from darts_core.ensembles.fitting import fitted_weights
from darts_core.ensembles.selection import Quality, forward_selection


def loss(weights: Sequence[float], log_probabilities: torch.Tensor) -> float:
    return float(-np.log(np.asarray(weights) @ np.exp(log_probabilities.numpy())).mean())


def drawn(members: int, count: int, seed: int) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.rand(members, count, generator=source, dtype=torch.float64).log()


@pytest.mark.parametrize("seed", range(5))
def test_no_weights_tried_fit_better_than_the_fitted_ones(seed: int) -> None:
    truths = drawn(4, 60, seed)
    best = loss(fitted_weights(truths).tolist(), truths)
    random = np.random.default_rng(seed)
    tried = [*random.dirichlet([0.3] * 4, 300), *np.eye(4), np.full(4, 0.25)]
    assert best <= min(loss(list(weights), truths) for weights in tried) + 1e-12


def test_fitted_weights_are_shares() -> None:
    weights = fitted_weights(drawn(5, 40, 1))
    assert weights.min() >= 0
    assert weights.sum().item() == pytest.approx(1, abs=1e-12)


def test_a_member_that_is_never_better_gets_nothing() -> None:
    good = drawn(1, 50, 0)
    assert fitted_weights(torch.cat([good, good - 1])).tolist() == pytest.approx([1, 0], abs=1e-9)


def test_equal_members_share_equally() -> None:
    one = drawn(1, 50, 0)
    assert fitted_weights(torch.cat([one, one])).tolist() == [0.5, 0.5]


def test_members_of_which_each_is_impossible_somewhere_can_be_weighed() -> None:
    truths = torch.tensor([[0.0, -5000.0], [-5000.0, 0.0]], dtype=torch.float64)
    assert fitted_weights(truths).tolist() == pytest.approx([0.5, 0.5])


class Votes:
    """The share of right majority votes; ties go to the lower class."""

    def __init__(self, members: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.said = random.integers(0, 3, (members, 40))
        self.labels = random.integers(0, 3, 40)

    def __call__(self, places: Sequence[int]) -> Quality:
        votes = np.stack([(self.said[list(places)] == c).sum(axis=0) for c in range(3)])
        return (float(np.mean(votes.argmax(axis=0) == self.labels)),)


@pytest.mark.parametrize("seed", range(6))
def test_selection_is_never_worse_than_its_best_member(seed: int) -> None:
    quality = Votes(7, seed)
    chosen = [step.member for step in forward_selection(7, 5, quality)]
    assert quality(sorted(chosen)) >= max(quality([member]) for member in range(7))


@pytest.mark.parametrize("seed", range(6))
def test_each_step_adds_the_member_that_helps_most(seed: int) -> None:
    quality = Votes(6, seed)
    chosen: list[int] = []
    for step in forward_selection(6, 6, quality):
        tried = [quality(sorted([*chosen, member])) for member in range(6) if member not in chosen]
        assert step.quality == max(tried)
        chosen.append(step.member)
        assert quality(sorted(chosen)) == step.quality


@pytest.mark.parametrize("seed", range(6))
def test_of_two_members_selection_finds_the_best_committee_with_the_best_member(seed: int) -> None:
    quality = Votes(5, seed)
    path = forward_selection(5, 2, quality)
    first = path[0].member
    with_first = [quality(list(pair)) for pair in combinations(range(5), 2) if first in pair]
    assert path[-1].quality == max([quality([first]), *with_first])


def test_of_equal_members_the_first_is_chosen_alone() -> None:
    assert [step.member for step in forward_selection(3, 3, lambda places: (1.0,))] == [0]


def test_no_more_are_chosen_than_asked_for() -> None:
    path = forward_selection(6, 2, lambda places: (float(len(places)),))
    assert [step.member for step in path] == [0, 1]
