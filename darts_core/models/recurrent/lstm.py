"""A language model around an LSTM (Hochreiter and Schmidhuber, 1997): what searched cells are measured against.

It takes the same dropout masks in the same places as a searched cell does; its recurrence's is that of Gal and
Ghahramani (arXiv:1512.05287), one mask on the hidden state over all time steps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from darts_core.models.recurrent.language_model import LanguageModel


class LstmCell(nn.Module):
    """Gates in torch's order: input, forget, candidate, output. One bias. Starts as `torch.nn.LSTM` does."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        bound = 1 / math.sqrt(size)
        self.from_x = nn.Parameter(torch.empty(size, 4 * size).uniform_(-bound, bound))
        self.from_hidden = nn.Parameter(torch.empty(size, 4 * size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(4 * size).uniform_(-bound, bound))

    def forward(self, x: Tensor, state: Tensor, h_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """x: (T, B, size). state: (B, 2 * size), hidden and cell state side by side. h_mask: (B, size).

        Gives the hidden states (T, B, size), and the state behind the last.
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
    """The language model of one LSTM layer. Its hidden state is (B, 2 * size): both of the LSTM's, side by side."""

    def __init__(self, *, words: int, size: int) -> None:
        super().__init__(LstmCell(size), words)  # type: ignore[arg-type]  # a cell of another kind

    def start(self, batch: int) -> Tensor:
        """The state at the beginning of a text: zeros (batch, 2 * size)."""
        return self.encoder.weight.new_zeros(batch, 2 * self.size)

    def _run(self, x: Tensor, hidden: Tensor, h_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.rnns[0](x, hidden, h_mask)  # type: ignore[no-any-return]


def lstm_parameters(size: int, words: int) -> int:
    """Trainable numbers of an `LstmNetwork`: embedding, decoder's bias, gates."""
    return words * size + words + 8 * size * size + 4 * size


def size_of_equal_lstm(parameters: int, words: int) -> int:
    """The size of the `LstmNetwork` over that many words whose parameters come nearest to so many."""
    # 8 s^2 + (words + 4) s + words = parameters
    linear, constant = words + 4, words - parameters
    exact = (-linear + math.sqrt(max(linear * linear - 32 * constant, 0))) / 16
    sizes = (max(math.floor(exact), 1), max(math.ceil(exact), 1))
    return min(sizes, key=lambda size: abs(lstm_parameters(size, words) - parameters))
