"""Ensembles as modules: several trained networks behind the interface of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from darts_core.configs.ensemble import Combine
from darts_core.data.text.corpus import encode
from darts_core.ensembles.mixing import combined
from darts_core.files.language_models import TrainedLanguageModel
from darts_core.files.trained_network import TrainedNetwork
from darts_core.scoring.predict import Prediction, RawImages, predict


class ImageEnsemble(nn.Module):
    """Several image networks as one.

    Maps uint8 images (N, channels, H, W) to logits (N, classes), float64. Every member applies its own normalisation,
    so `prepare` returns the images unchanged. `weights`: one per member, in the order of `members`.
    """

    def __init__(
        self, members: Sequence[TrainedNetwork], weights: Sequence[float], combine: Combine, classes: Sequence[str]
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self._networks = tuple(members)
        self.weights, self.combine = tuple(weights), combine
        self.classes = tuple(classes)
        self.image = members[0].image

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (N, channels, H, W) to logits (N, classes), float64. Raises TypeError for another dtype."""
        if images.dtype != torch.uint8:
            raise TypeError(f"an ensemble takes bytes (torch.uint8), which each member prepares, not {images.dtype}")
        outputs = [member(member.prepare(images)).float() for member in self._networks]
        return combined(outputs, self.weights, self.combine)

    def predict(self, images: RawImages, batch_size: int = 64) -> list[Prediction]:
        """Predict raw images, as `predict` of a single network does."""
        [first, *_] = self._networks
        device = next(self.parameters()).device
        as_imagenet = first.checkpoint["spec"]["dataset"] == "imagenet"
        return predict(self, images, device=device, as_imagenet=as_imagenet, batch_size=batch_size)

    def prepare(self, images: Tensor) -> Tensor:
        """Return uint8 images unchanged."""
        return images


class EnsemblePass(NamedTuple):
    """logits: (T, B, words), float64, for the next words. hidden: of every member, for the next call."""

    logits: Tensor
    hidden: tuple[Tensor, ...]


class LanguageEnsemble(nn.Module):
    """Several language models of one vocabulary as one: their probabilities are mixed, word by word."""

    def __init__(self, members: Sequence[TrainedLanguageModel], weights: Sequence[float], combine: Combine) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.weights, self.combine = tuple(weights), combine
        self.vocabulary = members[0].vocabulary

    def forward(self, tokens: Tensor, hidden: Sequence[Tensor] | None = None) -> EnsemblePass:
        """tokens: (T, B), int64. hidden: returned by the previous call; None at the beginning of a text."""
        states = hidden if hidden is not None else [None] * len(self.members)
        passes = [member(tokens, state) for member, state in zip(self.members, states, strict=True)]
        logits = combined([passed.logits for passed in passes], self.weights, self.combine)
        return EnsemblePass(logits, tuple(passed.hidden for passed in passes))

    def prepare(self, words: Sequence[str]) -> Tensor:
        """Map words, with <eos> at line ends, to one column of indices (T, 1); unknown words become <unk>."""
        return encode(words, self.vocabulary)[:, None]
