"""A bigram language model by interpolated Kneser-Ney smoothing: what knowing the last word alone is worth.

Kneser and Ney (ICASSP 1995), in the interpolated form of Chen and Goodman (1999), section 2.7: from each count a
discount D is taken; what that frees goes to words by how many different words they were seen behind; and what D
frees there goes to all words alike. D is the one free number; it is fitted on validation text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

DISCOUNTS: Final = tuple(hundredths / 100 for hundredths in range(1, 100))


@dataclass(frozen=True)
class Bigram:
    """Counts of a text, float64. A pair's number is first * words + second.

    pairs: the numbers of those that occur, sorted, int64 (P,). counts: (P,). followed: how often each word is followed
    by one, (words,). followers, predecessors: how many different words were seen behind and before each, (words,).
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
        """text: int64 (N,), at least two words, each below `words`. discount: above 0, below 1."""
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
        """Of each second word behind its first one. Both int64, of one shape, as is the answer."""
        number = first * self.words + second
        place = torch.searchsorted(self.pairs, number).clamp(max=len(self.pairs) - 1)
        count = torch.where(self.pairs[place] == number, self.counts[place], 0.0)
        # Nothing is known of what follows a word that only ends the text: then all is left to the continuations.
        followed = self.followed[first]
        known = followed > 0
        divisor = followed.clamp(min=1)
        kept = (count - self.discount).clamp(min=0) / divisor
        freed = torch.where(known, self.discount * self.followers[first] / divisor, 1.0)
        return kept + freed * self._continuations()[second]

    def loss(self, tokens: Tensor, targets: Tensor) -> float:
        """Mean cross-entropy in nats of targets, each behind its token; shapes as of a window of text."""
        return float(-self.probabilities(tokens.cpu(), targets.cpu()).log().mean())

    def _continuations(self) -> Tensor:
        """How probable each word is by the different words before it, (words,)."""
        kept = (self.predecessors - self.discount).clamp(min=0)
        freed = self.discount * float((self.predecessors > 0).sum())
        return (kept + freed / self.words) / len(self.pairs)


def fitted_bigram(text: Tensor, words: int, tokens: Tensor, targets: Tensor) -> Bigram:
    """The model of a text (N,) with the discount, to a hundredth, that foretells the given targets best."""
    counted = Bigram.counted(text, words, DISCOUNTS[0])
    models = (replace(counted, discount=discount) for discount in DISCOUNTS)
    return min(models, key=lambda model: model.loss(tokens, targets))
