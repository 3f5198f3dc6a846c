"""The bigram model against its formula worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from darts_core.baselines.bigram import DISCOUNTS, Bigram, fitted_bigram

# a b a b c: the pairs ab twice, ba and bc once; three different pairs, and each word was seen behind one other.
TEXT = torch.tensor([0, 1, 0, 1, 2])


def probability(first: int, second: int, text: torch.Tensor = TEXT) -> float:
    model = Bigram.counted(text, 3, discount=0.5)
    return float(model.probabilities(torch.tensor([first]), torch.tensor([second])))


def test_probability_of_a_seen_pair_is_its_discounted_share_plus_that_of_continuations() -> None:
    # Of its 2 counts ab keeps 1.5; the freed 0.5/2 goes out by continuations: (1 - 0.5) / 3 + 0.5 * 3 / 3 / 3 = 1/3.
    assert probability(0, 1) == pytest.approx(1.5 / 2 + 0.5 / 2 / 3, abs=1e-12)


def test_probability_of_an_unseen_pair_is_that_of_continuations() -> None:
    # b is followed twice, by two different words.
    assert probability(1, 1) == pytest.approx(0.5 * 2 / 2 / 3, abs=1e-12)


def test_a_word_seen_behind_more_different_words_is_likelier_where_it_was_not_seen() -> None:
    # a c a c b c: the pairs ac twice, ca, cb, bc once. Of the four different pairs two end in c, one in a.
    text = torch.tensor([0, 2, 0, 2, 1, 2])
    assert probability(2, 2, text) == pytest.approx(0.5 * 2 / 2 * (2 - 0.5 + 0.5 * 3 / 3) / 4, abs=1e-12)
    assert probability(1, 0, text) == pytest.approx(0.5 * 1 / 1 * (1 - 0.5 + 0.5 * 3 / 3) / 4, abs=1e-12)


def test_probabilities_behind_each_word_sum_to_one_also_behind_one_that_nothing_followed() -> None:
    model = Bigram.counted(TEXT, 3, discount=0.3)
    first, second = torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")
    sums = model.probabilities(first, second).sum(dim=1)
    torch.testing.assert_close(sums, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-12)


def test_loss_is_the_mean_over_the_given_pairs() -> None:
    model = Bigram.counted(TEXT, 3, discount=0.5)
    found = model.loss(torch.tensor([[0], [1]]), torch.tensor([[1], [1]]))
    assert found == pytest.approx(-(math.log(0.75 + 0.25 / 3) + math.log(0.5 / 3)) / 2, abs=1e-12)


def test_fitted_discount_is_the_best_for_the_validation_pairs() -> None:
    text = torch.randint(7, (200,), generator=torch.Generator().manual_seed(0))
    tokens, targets = torch.randint(7, (2, 50), generator=torch.Generator().manual_seed(1))
    fitted = fitted_bigram(text, 7, tokens, targets).loss(tokens, targets)
    assert fitted == min(Bigram.counted(text, 7, d).loss(tokens, targets) for d in DISCOUNTS)
