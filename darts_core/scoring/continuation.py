"""Continues a text with a language model."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from darts_core.files.language_models import TrainedLanguageModel

_END = "<eos>"


@dataclass(frozen=True)
class Continuation:
    """next_words: the most probable ones after the text, with probabilities. continuation: word by word the likeliest.

    unknown: words of the text that the vocabulary lacks, each once; they are read as <unk>.
    """

    next_words: tuple[tuple[str, float], ...]
    continuation: tuple[str, ...]
    unknown: tuple[str, ...]


@torch.no_grad()
def continued(model: TrainedLanguageModel, text: str, *, words: int, top: int) -> Continuation:
    """Read the text, its lines ended by <eos>, and go on for so many words. An empty text begins after an <eos>."""
    given = [word for line in text.splitlines(keepends=True) for word in _words(line)] or [_END]
    known = set(model.vocabulary)
    unknown = tuple(dict.fromkeys(word for word in given if word not in known))
    step = model(model.prepare(given))
    probabilities = step.logits[-1, 0].double().softmax(dim=0)
    best = probabilities.topk(min(top, len(model.vocabulary)))
    next_words = tuple(
        (model.vocabulary[index], value)
        for index, value in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    )
    following = []
    for _ in range(words):
        index = int(step.logits[-1, 0].argmax())
        following.append(model.vocabulary[index])
        step = model(torch.tensor([[index]]), step.hidden)
    return Continuation(next_words, tuple(following), unknown)


def _words(line: str) -> list[str]:
    return [*line.split(), *([_END] if line.endswith(("\n", "\r")) else [])]
