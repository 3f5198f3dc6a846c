"""Builds an LSTM language model (Hochreiter and Schmidhuber, 1997), the baseline for searched cells.

It applies the same dropout masks at the same places as a searched cell. All time steps mask the hidden state alike, as
in Gal and Ghahramani (arXiv:1512.05287).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from darts_core.models.recurrent.language_model import LanguageModel


class LstmCell(nn.Module):
    """An LSTM cell with one bias, initialised like `torch.nn.LSTM`. Gates: input, forget, candidate, output."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        bound = 1 / math.sqrt(size)
        self.from_x = nn.Parameter(torch.empty(size, 4 * size).uniform_(-bound, bound))
        self.from_hidden = nn.Parameter(torch.empty(size, 4 * size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(4 * size).uniform_(-bound, bound))

    def forward(self, x: Tensor, state: Tensor, h_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the hidden states (T, B, size) and the last state (B, 2 * size).

        x: (T, B, size). state: hidden and cell state concatenated, (B, 2 * size). h_mask: (B, size).
        """
        hidden, kept = state.chunk(2, dim=-1)
        outputs = []
        for product in x @ self.from_x + self.bias:
            read = hidden if h_mask is None else hidden * h_mask
            add, keep, candidate, show = torch.addmm(product, read, self.from_hidden).chunk(4, dim=-1)
            kept = torch.sigmoid(keep) * kept + torch.sigmoid(add) * torch.tanh(candidate)
            hidden = torch.sigmoid(show) * torch.tanh(kept)
            outputs.append(hidden)
        return torch.stack(outputs), torch.cat([hidden, kept], dim=-1)


class LstmNetwork(LanguageModel):
    """A language model with one LSTM layer. hidden: hidden and cell state concatenated, (B, 2 * size)."""

    def __init__(self, *, words: int, size: int) -> None:
        super().__init__(LstmCell(size), words)  # type: ignore[arg-type]  # a cell of another kind

    def start(self, batch: int) -> Tensor:
        """Return the state at the beginning of a text: zeros (batch, 2 * size)."""
        return self.encoder.weight.new_zeros(batch, 2 * self.size)

    def _run(self, x: Tensor, hidden: Tensor, h_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.rnns[0](x, hidden, h_mask)  # type: ignore[no-any-return]


def lstm_parameters(size: int, words: int) -> int:
    """Count the parameters of an `LstmNetwork`: embedding, decoder bias and gates."""
    return words * size + words + 8 * size * size + 4 * size


def size_of_equal_lstm(parameters: int, words: int) -> int:
    """Return the size of the `LstmNetwork` whose parameter count is closest to `parameters`."""
    # 8 s^2 + (words + 4) s + words = parameters
    linear, constant = words + 4, words - parameters
    exact = (-linear + math.sqrt(max(linear * linear - 32 * constant, 0))) / 16
    sizes = (max(math.floor(exact), 1), max(math.ceil(exact), 1))
    return min(sizes, key=lambda size: abs(lstm_parameters(size, words) - parameters))
