"""Writes the language model of a recurrent genotype as a plain module. Imports no torch.

Mirrors darts_core/models/recurrent/language_model.py without dropout.
"""

from __future__ import annotations

from typing import Final

from darts_core.genotypes import RecurrentGenotype

_ACTIVATIONS: Final = {"tanh": "torch.tanh", "relu": "torch.relu", "sigmoid": "torch.sigmoid", "identity": "identity"}


def network_source(genotype: RecurrentGenotype) -> str:
    """The cell and the network. They read the constants WORDS and HIDDEN_SIZE."""
    nodes = [
        f"        s{node} = gated(s{source}, s{source} @ self._Ws[{node - 1}], {_ACTIVATIONS[op]})"
        for node, (op, source) in enumerate(genotype.recurrent, 1)
        if node in _needed(genotype)
    ]
    identity = _IDENTITY if any(", identity)" in node for node in nodes) else ""
    output = ", ".join(f"s{node}" for node in genotype.concat)
    return _SOURCE.format(identity=identity, count=len(genotype.recurrent), nodes="\n".join(nodes), output=output)


def _needed(genotype: RecurrentGenotype) -> set[int]:
    """The nodes that the output depends on."""
    needed = set(genotype.concat)
    for node, (_, source) in reversed(list(enumerate(genotype.recurrent, 1))):
        if node in needed:
            needed.add(source)
    return needed


_IDENTITY: Final = """
def identity(x: Tensor) -> Tensor:
    return x


""".lstrip("\n")

_SOURCE: Final = '''
{identity}def gated(
    state: Tensor, product: Tensor, activation: Callable[[Tensor], Tensor]
) -> Tensor:
    """Replace a share of the state, which the product's first half decides."""
    gate, candidate = product.chunk(2, dim=-1)
    return state + torch.sigmoid(gate) * (activation(candidate) - state)


class Cell(nn.Module):
    """One step of the recurrent cell. State s0 is made of the word and the hidden state."""

    def __init__(self) -> None:
        super().__init__()
        size = HIDDEN_SIZE
        self._W0 = nn.Parameter(torch.empty(2 * size, 2 * size))
        self._Ws = nn.ParameterList(torch.empty(size, 2 * size) for _ in range({count}))

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        s0 = gated(hidden, torch.cat([x, hidden], dim=-1) @ self._W0, torch.tanh)
{nodes}
        return torch.stack([{output}]).mean(0)


class Network(nn.Module):
    """Embedding, recurrent cell and decoder, whose weight is the embedding's."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Embedding(WORDS, HIDDEN_SIZE)
        self.rnns = nn.ModuleList([Cell()])
        self.decoder = nn.Linear(HIDDEN_SIZE, WORDS)
        self.decoder.weight = self.encoder.weight
        for weight in (self.encoder.weight, *self.rnns.parameters()):
            nn.init.uniform_(weight, -0.04, 0.04)

    def forward(
        self, tokens: Tensor, hidden: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map numbers of words (T, N) to logits (T, N, words) of each one's successor.

        hidden: the state (N, hidden size) that the previous call returned as its second
        result; None at the beginning of a text.
        """
        if hidden is None:
            hidden = self.encoder.weight.new_zeros(tokens.shape[1], HIDDEN_SIZE)
        outputs = []
        for x in self.encoder(tokens):
            hidden = self.rnns[0](x, hidden)
            outputs.append(hidden)
        return self.decoder(torch.stack(outputs)), hidden
'''.strip("\n")
