"""P-DARTS (arXiv:1904.12760): stages of deeper networks with fewer operations, and regularised skip-connections."""

from __future__ import annotations

import math
from typing import Final

from darts_core.genotypes import AnyGenotype
from darts_core.genotypes.skip_limit import with_fewer_skips
from darts_core.methods.method import SearchMethod, Tables

# The authors' rate falls by exp(-0.2) an epoch, in stages of 25 epochs.
_DECAY: Final = 0.2 * 25


class PDarts(SearchMethod):
    """DARTS in stages. Each has a new network with new alphas, and drops the weakest operations of the one before.

    Skip-connections of stride 1 have elementwise dropout in training. Its rate falls within a stage, linearly while
    only the weights train and exponentially behind that.
    """

    @property
    def skip_dropout(self) -> float:
        """The rate of this epoch."""
        stage, passed, first = self.stage, self.epoch - self.stage.first, self.config.weights_only_epochs
        if passed < first:
            return stage.skip_dropout * (stage.epochs - passed - 1) / stage.epochs
        return stage.skip_dropout * math.exp(-_DECAY * (passed - first) / stage.epochs)

    def genotype(self, alphas: Tables, primitives: tuple[str, ...]) -> AnyGenotype:
        """By DARTS' rule, with at most `most_skip_connects` in the normal cell."""
        found = super().genotype(alphas, primitives)  # raises for alphas that are not finite
        most = self.config.most_skip_connects
        if most is None:
            return found
        strengths = self.strengths(alphas)
        return with_fewer_skips(strengths["normal"], strengths["reduce"], primitives, most, self.lists)
