"""The second-order step of the DARTS authors' RNN code: module, copy and finite difference as there.

Written from its description, apart from darts_core, as a reference to hold ours against. No dropout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.authors_rnn import ACTIVATIONS


class AuthorsSearchCell(nn.Module):
    def __init__(self, primitives: Sequence[str], nodes: int, size: int) -> None:
        super().__init__()
        self.primitives, self.nodes, self.size = primitives, nodes, size
        self._W0 = nn.Parameter(torch.empty(2 * size, 2 * size))
        self._Ws = nn.ParameterList(nn.Parameter(torch.empty(size, 2 * size)) for _ in range(nodes))

    def forward(self, x: Tensor, h: Tensor, weights: Tensor) -> Tensor:
        c0, h0 = torch.split(torch.cat([x, h], -1) @ self._W0, self.size, dim=-1)
        states, row = [_normalised(h + c0.sigmoid() * (h0.tanh() - h))], 0
        for matrix in self._Ws:
            total = torch.zeros_like(h)
            for s in states:
                gate, candidate = torch.split(s @ matrix, self.size, dim=-1)
                for column, name in enumerate(self.primitives):
                    if name != "none":
                        mixed = s + gate.sigmoid() * (ACTIVATIONS[name](candidate) - s)
                        total = total + weights[row, column] * mixed
                row += 1
            states.append(_normalised(total))
        return torch.mean(torch.stack(states[1:], -1), -1)


class Window(NamedTuple):
    """tokens, targets: (T, B). hidden: (B, size)."""

    tokens: Tensor
    targets: Tensor
    hidden: Tensor


class AuthorsSearchModel(nn.Module):
    def __init__(self, primitives: Sequence[str], nodes: int, *, words: int, size: int, alphas: Tensor) -> None:
        super().__init__()
        self.made_with = (primitives, nodes, words, size)
        self.encoder = nn.Embedding(words, size)
        self.rnns = nn.ModuleList([AuthorsSearchCell(primitives, nodes, size)])
        self.decoder = nn.Linear(size, words)
        self.decoder.weight = self.encoder.weight
        self.double()
        self.arch = (alphas.detach().clone().requires_grad_(),)  # in a tuple: no parameter of the module

    def loss(self, window: Window) -> Tensor:
        h, logits = window.hidden, []
        for x in self.encoder(window.tokens):
            h = self.rnns[0](x, h, F.softmax(self.arch[0], -1))
            logits.append(self.decoder(h))
        return F.cross_entropy(torch.stack(logits).flatten(0, 1), window.targets.flatten())

    def moved(self, theta: Tensor) -> AuthorsSearchModel:
        """A copy with the parameters of a flat vector, loaded over a copy of this model's whole `state_dict`.

        The dictionary has the tied embedding twice and the vector once: the decoder's entry, which is loaded last,
        puts the embedding back.
        """
        primitives, nodes, words, size = self.made_with
        copy = AuthorsSearchModel(primitives, nodes, words=words, size=size, alphas=self.arch[0])
        state, offset = self.state_dict(), 0
        for name, parameter in self.named_parameters():
            state[name] = theta[offset : offset + parameter.numel()].view(parameter.shape)
            offset += parameter.numel()
        copy.load_state_dict(state)
        return copy

    def take(self, weights: Mapping[str, Tensor]) -> AuthorsSearchModel:
        """Load parameters by their names, the decoder's weight being the encoder's."""
        names = [name for name, _ in self.named_parameters()]
        kept = {name: weights[name] for name in names}
        self.load_state_dict({**kept, "decoder.weight": weights["encoder.weight"]})
        return self


def second_order(
    model: AuthorsSearchModel, training: Window, validation: Window, *, eta: float, decay: float, clip: float
) -> tuple[Tensor, float]:
    """The alpha gradient, and the coefficient that the training gradient was clipped with."""
    parameters = list(model.parameters())
    gradients = list(torch.autograd.grad(model.loss(training), parameters))
    coefficient = _clip(gradients, clip)
    theta = _flat([p.detach() for p in parameters])
    unrolled = model.moved(theta - eta * (_flat(gradients) + decay * theta))
    direct, *vector = torch.autograd.grad(unrolled.loss(validation), [unrolled.arch[0], *unrolled.parameters()])
    _clip(vector, clip)
    step = 1e-2 / _flat(vector).norm()
    sides = []
    for times in (1, -2):
        _move(parameters, vector, times * step)
        sides.append(torch.autograd.grad(model.loss(training), model.arch[0])[0])
    _move(parameters, vector, step)
    return direct - eta * coefficient * (sides[0] - sides[1]) / (2 * step), coefficient


def _normalised(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True)


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _clip(gradients: Sequence[Tensor], most: float) -> float:
    coefficient: float = most / (_flat(gradients).norm().item() + 1e-6)
    if coefficient < 1:
        for gradient in gradients:
            gradient.mul_(coefficient)
    return coefficient


def _move(parameters: Sequence[Tensor], vector: Sequence[Tensor], step: Tensor) -> None:
    with torch.no_grad():
        for parameter, direction in zip(parameters, vector, strict=True):
            parameter.add_(step * direction)
