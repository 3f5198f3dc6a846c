"""What ensembles of images and of words do differently: how answers are combined and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from darts_core.configs.ensemble import Combine
from darts_core.ensembles.figures import Figures, image_figures, word_figures
from darts_core.ensembles.mixing import combined, mixed
from darts_core.ensembles.parts import Part
from darts_core.ensembles.selection import Quality


@dataclass(frozen=True)
class Answers:
    """What the members said on one part.

    outputs: a tensor a member, float32, as the subject has them. labels: (N,), int64, what was true. places: (N,),
    int64, where these stand in the data set's part.
    """

    part: Part
    outputs: list[Tensor]
    labels: Tensor
    places: Tensor


class Subject(Protocol):
    """What answers are about."""

    plain: Combine
    """How all members are combined for comparison, without choice or weights."""

    def combined(self, outputs: Sequence[Tensor], weights: Sequence[float], combine: Combine) -> Tensor:
        """The committee's answers, float64, in the shape of its members'."""

    def truths(self, output: Tensor, labels: Tensor) -> Tensor:
        """The log-probability of what was true, float64 (N,)."""

    def figures(self, output: Tensor, labels: Tensor) -> Figures:
        """How good answers are."""

    def quality(self, figures: Figures) -> Quality:
        """What members are chosen by."""

    def gain(self, committee: Figures, members: Sequence[Figures]) -> float:
        """How much better the committee is than the best member."""


class Images:
    """Answers are logits (N, classes)."""

    plain: Combine = "sum"

    def combined(self, outputs: Sequence[Tensor], weights: Sequence[float], combine: Combine) -> Tensor:
        """As in `mixing`."""
        return combined(outputs, weights, combine)

    def truths(self, output: Tensor, labels: Tensor) -> Tensor:
        """Of the true classes."""
        return output.double().log_softmax(dim=1).gather(1, labels[:, None])[:, 0]

    def figures(self, output: Tensor, labels: Tensor) -> Figures:
        """Accuracies, loss and calibration."""
        return image_figures(output, labels)

    def quality(self, figures: Figures) -> Quality:
        """Accuracy; of equal ones the lower loss."""
        return figures["accuracy"], -figures["loss"]

    def gain(self, committee: Figures, members: Sequence[Figures]) -> float:
        """In points of accuracy."""
        return committee["accuracy"] - max(member["accuracy"] for member in members)


class Words:
    """Answers are log-probabilities of the words that came, (N,): all that mixtures and perplexities need."""

    plain: Combine = "mean"

    def combined(self, outputs: Sequence[Tensor], weights: Sequence[float], combine: Combine) -> Tensor:
        """Probabilities mixed word by word."""
        pairs = zip(outputs, weights, strict=True)
        return mixed([(output.double(), weight) for output, weight in pairs if weight > 0])

    def truths(self, output: Tensor, labels: Tensor) -> Tensor:
        """They are all there is."""
        return output.double()

    def figures(self, output: Tensor, labels: Tensor) -> Figures:
        """Loss and perplexity."""
        return word_figures(output)

    def quality(self, figures: Figures) -> Quality:
        """The loss."""
        return (-figures["loss"],)

    def gain(self, committee: Figures, members: Sequence[Figures]) -> float:
        """In perplexity."""
        return min(member["perplexity"] for member in members) - committee["perplexity"]
