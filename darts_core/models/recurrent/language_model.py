"""Language models around one recurrent cell. DARTS (arXiv:1806.09055), sections A.1.2 and A.2.2.

Embedding and decoder share their weights (arXiv:1608.05859), so sizes of embedding, state and output are one. State
keys are the DARTS authors' (`encoder.weight`, `rnns.0._W0`, `rnns.0._Ws.0`, ..., `decoder.bias`); the decoder's weight,
being the encoder's, is held once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.genotypes import RecurrentGenotype, derive_recurrent
from darts_core.models.recurrent.cell import INITIAL_RANGE, GenotypeCell, RecurrentCell, SearchCell
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.plain import PlainGenotypeCell, PlainSearchCell
from darts_core.models.recurrent.tied_loss import tied_cross_entropy
from darts_core.primitives import recurrent_edges_of


class Pass(NamedTuple):
    """What came of a window of text. hidden: (B, size), with its graph: detach it to carry on.

    outputs: (T, B, size), of the cell; dropped: the same behind output dropout. Both are for penalties.
    embedding: (words, size) and bias: (words,) decode the dropped outputs. plain: whether by one big table of logits.
    """

    hidden: Tensor
    outputs: Tensor
    dropped: Tensor
    embedding: Tensor
    bias: Tensor
    plain: bool = False

    @property
    def logits(self) -> Tensor:
        """(T, B, words): computed when asked for, and large. For the loss alone ask for `cross_entropy`."""
        return F.linear(self.dropped, self.embedding, self.bias)

    def cross_entropy(self, targets: Tensor) -> Tensor:
        """Mean over all places, in nats. targets: (T, B). Can be differentiated once, unless plain."""
        if self.plain:
            return cross_entropy(self.logits, targets)
        return tied_cross_entropy(self.dropped.flatten(0, 1), self.embedding, self.bias, targets.flatten())


class TiedDecoder(nn.Module):
    """The bias of the decoder, whose weights are the embedding's own."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(words))


class LanguageModel(nn.Module):
    """Embedding, one recurrent cell, decoder.

    plain: computed step by step, as the equations have it: several times slower, but differentiable twice.
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
        """tokens: (T, B), int64. hidden: (B, size), what the window before ended with. masks: None for no dropout.

        What is decoded at place t is for the word behind token t.
        """
        embedding = self.encoder.weight
        embedded = F.embedding(tokens, embedding)
        if masks is None:
            outputs, carried = self._run(embedded, hidden, None)
            dropped = outputs
        else:
            # On the words that are there, not on the whole vocabulary.
            embedded = embedded * F.embedding(tokens, masks.word) * (masks.input * masks.cell_input)
            outputs, carried = self._run(embedded, hidden, masks.hidden)
            dropped = outputs * masks.output
        return Pass(carried, outputs, dropped, embedding, self.decoder.bias, self.plain)

    def start(self, batch: int) -> Tensor:
        """The hidden state at the beginning of a text: zeros (batch, size)."""
        return self.encoder.weight.new_zeros(batch, self.size)

    def _run(self, x: Tensor, hidden: Tensor, h_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The cell over the masked input x (T, B, size): its outputs (T, B, size), and the hidden state to carry on."""
        outputs = self.rnns[0](x, hidden, h_mask)
        return outputs, outputs[-1]


class RecurrentNetwork(LanguageModel):
    """The language model of one genotype."""

    def __init__(self, genotype: RecurrentGenotype, *, words: int, size: int, plain: bool = False) -> None:
        super().__init__((PlainGenotypeCell if plain else GenotypeCell)(genotype, size), words, plain=plain)


class RecurrentSearchNetwork(LanguageModel):
    """The language model whose alphas a search optimises.

    As in the convolutional search network, the alphas are kept out of the module's parameters: `parameters()`,
    `state_dict()` and `weights()` hold the weights alone. `alphas` maps "recurrent" to (edges, primitives).
    """

    def __init__(
        self, primitives: Sequence[str], *, words: int, size: int, nodes: int = 8, plain: bool = False
    ) -> None:
        super().__init__((PlainSearchCell if plain else SearchCell)(primitives, size, nodes), words, plain=plain)
        self.primitives = tuple(primitives)
        self.alphas = {"recurrent": nn.Parameter(1e-3 * torch.randn(recurrent_edges_of(nodes), len(self.primitives)))}

    def weights(self) -> list[nn.Parameter]:
        """Everything that is trained except the alphas."""
        return list(self.parameters())

    def genotype(self) -> RecurrentGenotype:
        """The cell that the alphas stand for now. Raises GenotypeError when an alpha is not finite."""
        return derive_recurrent(self.alphas["recurrent"].tolist(), self.primitives)

    def load_alphas(self, alphas: Mapping[str, Tensor]) -> None:
        """Copy saved alphas in. Raises KeyError or RuntimeError when the table is missing or of another shape."""
        with torch.no_grad():
            self.alphas["recurrent"].copy_(alphas["recurrent"])

    def _run(self, x: Tensor, hidden: Tensor, h_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        outputs = self.rnns[0](x, hidden, h_mask, F.softmax(self.alphas["recurrent"], dim=-1))
        return outputs, outputs[-1]

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **options: Any) -> Self:
        # What `to`, `double`, `cuda` and their like go through: the unregistered alphas must come along.
        super()._apply(fn, *args, **options)  # type: ignore[no-untyped-call]
        for alpha in self.alphas.values():
            alpha.data = fn(alpha.data)
        return self


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over all places, in nats. logits: (T, B, words). targets: (T, B)."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())
