"""Strategies for image and word ensembles: how outputs are combined and measured."""

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
    """The members' outputs on one part.

    outputs: float32, one tensor per member, in the subject's shape. labels: (N,), int64, true classes or words. places:
    (N,), int64, indices into the data set's part.
    """

    part: Part
    outputs: list[Tensor]
    labels: Tensor
    places: Tensor


class Subject(Protocol):
    """Combines and measures outputs of one family."""

    plain: Combine
    """How all members are combined as a baseline, without selection or weights."""

    def combined(self, outputs: Sequence[Tensor], weights: Sequence[float], combine: Combine) -> Tensor:
        """The ensemble's outputs, float64, in the shape of its members'."""

    def truths(self, output: Tensor, labels: Tensor) -> Tensor:
        """Log-probabilities of the true classes or words, float64 (N,)."""

    def figures(self, output: Tensor, labels: Tensor) -> Figures: ...

    def quality(self, figures: Figures) -> Quality:
        """The key by which members are selected; larger is better."""

    def gain(self, committee: Figures, members: Sequence[Figures]) -> float:
        """Improvement of the ensemble over the best member."""


class Images:
    """Outputs are logits (N, classes)."""

    plain: Combine = "sum"

    def combined(self, outputs: Sequence[Tensor], weights: Sequence[float], combine: Combine) -> Tensor:
        return combined(outputs, weights, combine)

    def truths(self, output: Tensor, labels: Tensor) -> Tensor:
        return output.double().log_softmax(dim=1).gather(1, labels[:, None])[:, 0]

    def figures(self, output: Tensor, labels: Tensor) -> Figures:
        return image_figures(output, labels)

    def quality(self, figures: Figures) -> Quality:
        """Accuracy; ties go to the lower loss."""
        return figures["accuracy"], -figures["loss"]

    def gain(self, committee: Figures, members: Sequence[Figures]) -> float:
        """In points of accuracy."""
        return committee["accuracy"] - max(member["accuracy"] for member in members)


class Words:
    """Outputs are log-probabilities of the target words, (N,), which suffice for mixtures and perplexities."""

    plain: Combine = "mean"

    def combined(self, outputs: Sequence[Tensor], weights: Sequence[float], combine: Combine) -> Tensor:
        """Mix probabilities word by word."""
        pairs = zip(outputs, weights, strict=True)
        return mixed([(output.double(), weight) for output, weight in pairs if weight > 0])

    def truths(self, output: Tensor, labels: Tensor) -> Tensor:
        return output.double()

    def figures(self, output: Tensor, labels: Tensor) -> Figures:
        return word_figures(output)

    def quality(self, figures: Figures) -> Quality:
        return (-figures["loss"],)

    def gain(self, committee: Figures, members: Sequence[Figures]) -> float:
        """In perplexity."""
        return min(member["perplexity"] for member in members) - committee["perplexity"]
