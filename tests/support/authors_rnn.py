"""Language models as the DARTS authors' RNN code has them: key names, numbering of words, second-order step.

Written from its description, apart from darts_core, as a reference to hold ours against: word by word, no dropout.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}


class AuthorsCell(nn.Module):
    def __init__(self, entries: list[tuple[str, int]], concat: list[int], size: int) -> None:
        super().__init__()
        self.entries, self.concat, self.size = entries, concat, size
        self._W0 = nn.Parameter(torch.empty(2 * size, 2 * size).uniform_(-0.3, 0.3))
        self._Ws = nn.ParameterList(nn.Parameter(torch.empty(size, 2 * size).uniform_(-0.3, 0.3)) for _ in entries)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        c0, h0 = torch.split(torch.cat([x, h], -1) @ self._W0, self.size, dim=-1)
        states = [h + c0.sigmoid() * (h0.tanh() - h)]
        for (name, source), weight in zip(self.entries, self._Ws, strict=True):
            s = states[source]
            c, candidate = torch.split(s @ weight, self.size, dim=-1)
            states.append(s + c.sigmoid() * (ACTIVATIONS[name](candidate) - s))
        return torch.mean(torch.stack([states[i] for i in self.concat], -1), -1)


class AuthorsModel(nn.Module):
    def __init__(self, entries: list[tuple[str, int]], concat: list[int], *, words: int, size: int) -> None:
        super().__init__()
        self.encoder = nn.Embedding(words, size)
        self.rnns = nn.ModuleList([AuthorsCell(entries, concat, size)])
        self.decoder = nn.Linear(size, words)
        self.decoder.weight = self.encoder.weight

    def forward(self, tokens: Tensor, h: Tensor) -> Tensor:
        """tokens: (T, B). h: (B, size). Logits (T, B, words)."""
        logits = []
        for x in self.encoder(tokens):
            h = self.rnns[0](x, h)
            logits.append(self.decoder(h))
        return torch.stack(logits)


class AuthorsCorpus:
    """A folder of texts whose words are numbered as they come, each line's end among them."""

    def __init__(self, folder: Path) -> None:
        self.numbers: dict[str, int] = {}
        self.train, self.valid, self.test = (self._read(folder / f"{name}.txt") for name in ("train", "valid", "test"))

    def _read(self, path: Path) -> Tensor:
        found = []
        with path.open() as lines:
            for line in lines:
                for word in [*line.split(), "<eos>"]:
                    found.append(self.numbers.setdefault(word, len(self.numbers)))
        return torch.tensor(found)


def trained(model: AuthorsModel, text: Tensor, *, size: int, epochs: int) -> AuthorsModel:
    """The model after so many passes over one column of text."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(epochs):
        logits = model(text[:-1, None], torch.zeros(1, size))
        optimizer.zero_grad()
        F.cross_entropy(logits[:, 0], text[1:]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model


@torch.no_grad()
def perplexity_of(model: AuthorsModel, text: Tensor, *, size: int) -> float:
    """Of the words behind the first, in one column."""
    logits = model(text[:-1, None], torch.zeros(1, size))
    return math.exp(F.cross_entropy(logits[:, 0], text[1:]).item())
