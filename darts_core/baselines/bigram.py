"""A bigram language model with interpolated Kneser-Ney smoothing: the baseline that uses the last word alone.

Kneser and Ney (ICASSP 1995), in the interpolated form of Chen and Goodman (1999), section 2.7: a discount D is taken
from each count; the freed mass goes to words by the number of distinct words they follow; the mass that D frees there
is spread uniformly. D is the only free parameter, fitted on validation text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

DISCOUNTS: Final = tuple(hundredths / 100 for hundredths in range(1, 100))


@dataclass(frozen=True)
class Bigram:
    """Counts of a text, float64. A pair's index is first * words + second.

    pairs: indices of the pairs that occur, sorted, int64 (P,). counts: (P,). followed: occurrences of each word before
    another, (words,). followers, predecessors: distinct words seen after and before each, (words,).
    """

    words: int
    discount: float
    pairs: Tensor
    counts: Tensor
    followed: Tensor
    followers: Tensor
    predecessors: Tensor

    @classmethod
    def counted(cls, text: Tensor, words: int, discount: float) -> Bigram:
        """text: int64 (N,), at least two words, each below `words`. discount: strictly between 0 and 1."""
        pairs, counts = torch.unique(text[:-1] * words + text[1:], return_counts=True)
        first, second = pairs // words, pairs % words
        return cls(
            words=words,
            discount=discount,
            pairs=pairs,
            counts=counts.double(),
            followed=torch.bincount(first, counts, minlength=words).double(),
            followers=torch.bincount(first, minlength=words).double(),
            predecessors=torch.bincount(second, minlength=words).double(),
        )

    def probabilities(self, first: Tensor, second: Tensor) -> Tensor:
        """Probability of each second word given its first. Both int64, of one shape, as is the result."""
        number = first * self.words + second
        place = torch.searchsorted(self.pairs, number).clamp(max=len(self.pairs) - 1)
        count = torch.where(self.pairs[place] == number, self.counts[place], 0.0)
        # A word that occurs only at the text's end has no followers: all mass goes to the continuations.
        followed = self.followed[first]
        known = followed > 0
        divisor = followed.clamp(min=1)
        kept = (count - self.discount).clamp(min=0) / divisor
        freed = torch.where(known, self.discount * self.followers[first] / divisor, 1.0)
        return kept + freed * self._continuations()[second]

    def loss(self, tokens: Tensor, targets: Tensor) -> float:
        """Mean cross-entropy in nats of targets given their tokens; shapes as of a window of text."""
        return float(-self.probabilities(tokens.cpu(), targets.cpu()).log().mean())

    def _continuations(self) -> Tensor:
        """Probability of each word by the number of distinct words before it, (words,)."""
        kept = (self.predecessors - self.discount).clamp(min=0)
        freed = self.discount * float((self.predecessors > 0).sum())
        return (kept + freed / self.words) / len(self.pairs)


def fitted_bigram(text: Tensor, words: int, tokens: Tensor, targets: Tensor) -> Bigram:
    """The model of a text (N,) with the discount, to a hundredth, that minimises the loss of the given targets."""
    counted = Bigram.counted(text, words, DISCOUNTS[0])
    models = (replace(counted, discount=discount) for discount in DISCOUNTS)
    return min(models, key=lambda model: model.loss(tokens, targets))
