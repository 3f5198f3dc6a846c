"""A language model with the key names and the module structure of the DARTS authors' RNN code.

Written from its description, apart from darts_core, as a reference to hold ours against: word by word, no dropout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda x: x}


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
