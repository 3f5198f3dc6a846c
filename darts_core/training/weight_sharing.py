"""Runs random search with weight sharing: trains random paths, then chooses a cell. RSPS (arXiv:1902.07638)."""

from __future__ import annotations

import logging
from statistics import fmean
from typing import Any, Final

from darts_core.configs import SearchConfig
from darts_core.data.order import numbers, permutation
from darts_core.files.checkpoints import Checkpoint
from darts_core.genotypes import ConvolutionalGenotype, random_genotype, random_nasbench201
from darts_core.methods.weight_sharing import WeightSharing
from darts_core.spaces.nasbench201 import NAME as NASBENCH201
from darts_core.training.control import Control
from darts_core.training.image_search import ImageSearch
from darts_core.training.images import DeviceData

logger = logging.getLogger(__name__)

BATCHES: Final = 10
"""Validation batches on which each random cell is measured."""


class WeightSharingSearch(ImageSearch):
    """The loop of RSPS. Its last epoch has a further step for each measurement of the selection.

    `sampled_cells` random cells are measured on the same 10 batches of the validation split, and the best `finalists`
    on all of it, with BatchNorm in evaluation mode. The best of those is the search's cell. A run that resumes keeps
    the accuracies that were measured before.
    """

    def __init__(
        self, config: SearchConfig, data: DeviceData, control: Control, resume_from: Checkpoint | None = None
    ) -> None:
        super().__init__(config, data, control, resume_from)
        assert config.sampled_cells is not None
        assert config.finalists is not None
        self._cells, self._finalists = random_cells(config, config.sampled_cells), config.finalists
        # Folders of images come class by class: these batches are of all classes.
        order = permutation(len(self.alpha_part), config.seed, "random-cells")[: BATCHES * config.batch_size]
        self._sample = self.alpha_part[order.to(data.device)]
        self._accuracies: list[float] = []

    def begin_epoch(self) -> int:
        steps = super().begin_epoch()
        return steps + (self._measurements if self.epoch == self.config.epochs else 0)

    def later_steps(self) -> int:
        later = self.config.epochs - self.epoch
        return later * self.weight_feed.steps + (self._measurements if later else 0)

    def step(self, number: int) -> None:
        if number < self.weight_feed.steps:
            super().step(number)
        else:
            self._measure(number - self.weight_feed.steps)

    def fill(self, checkpoint: Checkpoint) -> None:
        super().fill(checkpoint)
        checkpoint["resume"]["accuracies"] = list(self._accuracies)

    def restore(self, checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        super().restore(checkpoint, state)
        self._accuracies = state["accuracies"]

    @property
    def _measurements(self) -> int:
        return len(self._cells) + self._finalists

    def _measure(self, number: int) -> None:
        """Measure the random cell of this number or, behind the last one, a finalist."""
        sampled = len(self._cells)
        part, place = self._sample, number
        if number >= sampled:
            part = self.alpha_part
            place = best_places(self._accuracies[:sampled], self._finalists)[number - sampled]
        method = self.network.method
        assert isinstance(method, WeightSharing)
        method.choose(self._cells[place])
        images, labels = self.data.train_images[part], self.data.train_labels[part]
        self._accuracies.append(self.data.measure(self.network, images, labels, self.control).accuracy)
        if len(self._accuracies) == self._measurements:
            method.choose(self._cells[self._best()])

    def _best(self) -> int:
        """The place of the best finalist among the random cells."""
        sampled = self._accuracies[: len(self._cells)]
        final = self._accuracies[len(sampled) :]
        [first] = best_places(final, 1)
        best = best_places(sampled, self._finalists)[first]
        logger.info(
            "cell %d of %d random ones is the best of %d finalists: %.2f %% of the validation split; all cells on %d "
            "batches of it: %.2f %% on average",
            best + 1,
            len(sampled),
            len(final),
            final[first],
            BATCHES,
            fmean(sampled),
        )
        return best


def random_cells(config: SearchConfig, count: int) -> list[ConvolutionalGenotype]:
    """The random cells of a spec's seed; the first is the seed's own, as `genotype: random` draws it."""
    assert config.primitives is not None
    primitives = tuple(map(str, config.primitives))
    source = numbers(config.seed, "random-cells")
    seeds = [config.seed, *(source.randrange(2**31) for _ in range(count - 1))]
    if config.space == NASBENCH201:
        return [random_nasbench201(seed) for seed in seeds]
    return [random_genotype(seed, nodes=config.nodes, primitives=primitives, lists=config.lists) for seed in seeds]


def best_places(accuracies: list[float], count: int) -> list[int]:
    """The places of the highest accuracies, best first; ties go to the lowest place."""
    return sorted(range(len(accuracies)), key=lambda place: (-accuracies[place], place))[:count]
