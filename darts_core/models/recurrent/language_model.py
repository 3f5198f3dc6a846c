"""Language models around one recurrent cell. DARTS (arXiv:1806.09055), sections A.1.2 and A.2.2.

Embedding and decoder share their weights (arXiv:1608.05859), so sizes of embedding, state and output are one. State
keys are the DARTS authors' (`encoder.weight`, `rnns.0._W0`, `rnns.0._Ws.0`, ..., `decoder.bias`); the decoder's weight,
being the encoder's, is held once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.genotypes import RecurrentGenotype, derive_recurrent
from darts_core.models.recurrent.cell import INITIAL_RANGE, GenotypeCell, RecurrentCell, SearchCell
from darts_core.models.recurrent.dropout import Masks
from darts_core.primitives import recurrent_edges_of


class Pass(NamedTuple):
    """What came of a window of text. logits: (T, B, words). hidden: (B, size), with its graph: detach it to carry on.

    outputs: (T, B, size), of the cell; dropped: the same behind output dropout. Both are for penalties.
    """

    logits: Tensor
    hidden: Tensor
    outputs: Tensor
    dropped: Tensor


class TiedDecoder(nn.Module):
    """From the cell's output to logits by the embedding's own weights, and a bias."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(words))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x: (..., size). embedding: (words, size). Gives (..., words)."""
        return F.linear(x, embedding, self.bias)


class LanguageModel(nn.Module):
    """Embedding, one recurrent cell, decoder."""

    def __init__(self, cell: RecurrentCell, words: int) -> None:
        super().__init__()
        self.words, self.size = words, cell.size
        self.encoder = nn.Embedding(words, cell.size)
        nn.init.uniform_(self.encoder.weight, -INITIAL_RANGE, INITIAL_RANGE)
        self.rnns = nn.ModuleList([cell])
        self.decoder = TiedDecoder(words)

    def forward(self, tokens: Tensor, hidden: Tensor, masks: Masks | None = None) -> Pass:
        """tokens: (T, B), int64. hidden: (B, size), what the window before ended with. masks: None for no dropout.

        Logits of place t are for the word behind token t.
        """
        embedding = self.encoder.weight
        embedded = F.embedding(tokens, embedding if masks is None else embedding * masks.word)
        if masks is not None:
            embedded = embedded * masks.input
        outputs = self._outputs(embedded, hidden, masks)
        dropped = outputs if masks is None else outputs * masks.output
        return Pass(self.decoder(dropped, embedding), outputs[-1], outputs, dropped)

    def start(self, batch: int) -> Tensor:
        """The hidden state at the beginning of a text: zeros (batch, size)."""
        return self.encoder.weight.new_zeros(batch, self.size)

    def _outputs(self, embedded: Tensor, hidden: Tensor, masks: Masks | None) -> Tensor:
        return self.rnns[0](embedded, hidden, *_cell_masks(masks))  # type: ignore[no-any-return]


class RecurrentNetwork(LanguageModel):
    """The language model of one genotype."""

    def __init__(self, genotype: RecurrentGenotype, *, words: int, size: int) -> None:
        super().__init__(GenotypeCell(genotype, size), words)


class RecurrentSearchNetwork(LanguageModel):
    """The language model whose alphas a search optimises.

    As in the convolutional search network, the alphas are kept out of the module's parameters: `parameters()`,
    `state_dict()` and `weights()` hold the weights alone. `alphas` maps "recurrent" to (edges, primitives).
    """

    def __init__(self, primitives: Sequence[str], *, words: int, size: int, nodes: int = 8) -> None:
        super().__init__(SearchCell(primitives, size, nodes), words)
        self.primitives = tuple(primitives)
        self.alphas = {"recurrent": nn.Parameter(1e-3 * torch.randn(recurrent_edges_of(nodes), len(self.primitives)))}

    def weights(self) -> list[nn.Parameter]:
        """Everything that is trained except the alphas."""
        return list(self.parameters())

    def genotype(self) -> RecurrentGenotype:
        """The cell that the alphas stand for now. Raises GenotypeError when an alpha is not finite."""
        return derive_recurrent(self.alphas["recurrent"].tolist(), self.primitives)

    def load_alphas(self, alphas: dict[str, Tensor]) -> None:
        """Copy saved alphas in. Raises KeyError or RuntimeError when the table is missing or of another shape."""
        with torch.no_grad():
            self.alphas["recurrent"].copy_(alphas["recurrent"])

    def _outputs(self, embedded: Tensor, hidden: Tensor, masks: Masks | None) -> Tensor:
        weights = F.softmax(self.alphas["recurrent"], dim=-1)
        return self.rnns[0](embedded, hidden, *_cell_masks(masks), weights)  # type: ignore[no-any-return]

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **options: Any) -> Self:
        # What `to`, `double`, `cuda` and their like go through: the unregistered alphas must come along.
        super()._apply(fn, *args, **options)  # type: ignore[no-untyped-call]
        for alpha in self.alphas.values():
            alpha.data = fn(alpha.data)
        return self


def _cell_masks(masks: Masks | None) -> tuple[Tensor | None, Tensor | None]:
    return (None, None) if masks is None else (masks.cell_input, masks.hidden)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over all places, in nats. logits: (T, B, words). targets: (T, B)."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())
