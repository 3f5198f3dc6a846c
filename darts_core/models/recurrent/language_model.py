"""Builds language models with one recurrent cell: DARTS (arXiv:1806.09055), sections A.1.2 and A.2.2.

Embedding and decoder share their weights (arXiv:1608.05859), so that embedding, state and output have the same size.
State keys are the DARTS authors' (`encoder.weight`, `rnns.0._W0`, `rnns.0._Ws.0`, ..., `decoder.bias`), without a key
for the decoder's weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.configs import RnnSearchConfig
from darts_core.genotypes import RecurrentGenotype
from darts_core.methods.method import SearchMethod
from darts_core.models.recurrent.cell import INITIAL_RANGE, GenotypeCell, RecurrentCell, SearchCell
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.plain import PlainGenotypeCell, PlainSearchCell
from darts_core.models.recurrent.tied_loss import tied_cross_entropy
from darts_core.primitives import recurrent_edges_of


class Pass(NamedTuple):
    """The result of a window of text. hidden: (B, size), attached to the graph; detach it for the next window.

    outputs: the cell's, (T, B, size). dropped: the same after output dropout. Both serve penalties.
    embedding: (words, size) and bias: (words,) decode the dropped outputs. plain: compute all logits at once.
    """

    hidden: Tensor
    outputs: Tensor
    dropped: Tensor
    embedding: Tensor
    bias: Tensor
    plain: bool = False

    @property
    def logits(self) -> Tensor:
        """The logits (T, B, words), computed on access; `cross_entropy` avoids this large table."""
        return F.linear(self.dropped, self.embedding, self.bias)

    def cross_entropy(self, targets: Tensor) -> Tensor:
        """Return the mean over all positions in nats. targets: (T, B). Allows one backward pass unless plain."""
        if self.plain:
            return cross_entropy(self.logits, targets)
        return tied_cross_entropy(self.dropped.flatten(0, 1), self.embedding, self.bias, targets.flatten())


class TiedDecoder(nn.Module):
    """The decoder's bias; its weight is the embedding."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(words))


class LanguageModel(nn.Module):
    """Embedding, one recurrent cell and decoder.

    plain: compute step by step, several times slower but twice differentiable.
    """

    def __init__(self, cell: RecurrentCell, words: int, *, plain: bool = False) -> None:
        super().__init__()
        self.plain = plain
        self.words, self.size = words, cell.size
        self.encoder = nn.Embedding(words, cell.size)
        nn.init.uniform_(self.encoder.weight, -INITIAL_RANGE, INITIAL_RANGE)
        self.rnns = nn.ModuleList([cell])
        self.decoder = TiedDecoder(words)

    def forward(self, tokens: Tensor, hidden: Tensor, masks: Masks | None = None) -> Pass:
        """Run a window of text. tokens: (T, B), int64. hidden: (B, size), from the previous window.

        masks: None for no dropout. Position t of the result predicts token t + 1.
        """
        embedding = self.encoder.weight
        embedded = F.embedding(tokens, embedding)
        if masks is None:
            outputs, carried = self._run(embedded, hidden, None)
            dropped = outputs
        else:
            # Masks the tokens' embeddings only, not the whole vocabulary's.
            embedded = embedded * F.embedding(tokens, masks.word) * (masks.input * masks.cell_input)
            outputs, carried = self._run(embedded, hidden, masks.hidden)
            dropped = outputs * masks.output
        return Pass(carried, outputs, dropped, embedding, self.decoder.bias, self.plain)

    def start(self, batch: int) -> Tensor:
        """Return the hidden state at the beginning of a text: zeros (batch, size)."""
        return self.encoder.weight.new_zeros(batch, self.size)

    def _run(self, x: Tensor, hidden: Tensor, h_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run the cell on the masked x (T, B, size); return its outputs (T, B, size) and the last hidden state."""
        outputs = self.rnns[0](x, hidden, h_mask)
        return outputs, outputs[-1]


class RecurrentNetwork(LanguageModel):
    """The language model of a genotype."""

    def __init__(self, genotype: RecurrentGenotype, *, words: int, size: int, plain: bool = False) -> None:
        super().__init__((PlainGenotypeCell if plain else GenotypeCell)(genotype, size), words, plain=plain)


class RecurrentSearchNetwork(LanguageModel):
    """The supernet of a search for recurrent cells.

    `alphas` maps "recurrent" to an (edges, primitives) parameter. As in the convolutional supernet, it is not
    registered: `parameters()`, `state_dict()` and `weights()` hold the weights alone.
    """

    def __init__(
        self,
        primitives: Sequence[str],
        *,
        words: int,
        size: int,
        nodes: int = 8,
        plain: bool = False,
        method: SearchMethod | None = None,
    ) -> None:
        """method: makes operation weights of the alphas, by default as DARTS does."""
        super().__init__((PlainSearchCell if plain else SearchCell)(primitives, size, nodes), words, plain=plain)
        self.primitives = tuple(primitives)
        self.method = method or SearchMethod(RnnSearchConfig(dataset="python-docs"))
        first = self.method.initial(recurrent_edges_of(nodes), len(self.primitives))
        self.alphas = {"recurrent": nn.Parameter(first)}

    def weights(self) -> list[nn.Parameter]:
        """Return all parameters except the alphas."""
        return list(self.parameters())

    def genotype(self) -> RecurrentGenotype:
        """Derive the genotype from the alphas. Raises GenotypeError if an alpha is not finite."""
        found = self.method.genotype(self.alphas, self.primitives)
        assert isinstance(found, RecurrentGenotype)
        return found

    def strengths(self) -> dict[str, list[list[float]]]:
        """The expected weights of all operations."""
        return self.method.strengths(self.alphas)

    def load_alphas(self, alphas: Mapping[str, Tensor]) -> None:
        """Load saved alphas. Raises KeyError for a missing table, RuntimeError for one of another shape."""
        with torch.no_grad():
            self.alphas["recurrent"].copy_(alphas["recurrent"])

    def _run(self, x: Tensor, hidden: Tensor, h_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        outputs = self.rnns[0](x, hidden, h_mask, self.method.operation_weights(self.alphas)["recurrent"])
        return outputs, outputs[-1]

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **options: Any) -> Self:
        # `to`, `double` and `cuda` call this method; it must convert the unregistered alphas too.
        super()._apply(fn, *args, **options)  # type: ignore[no-untyped-call]
        for alpha in self.alphas.values():
            alpha.data = fn(alpha.data)
        return self


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over all positions in nats. logits: (T, B, words). targets: (T, B)."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())
