"""One step of a search for a recurrent cell: first the alphas, then the weights. DARTS (arXiv:1806.09055), algorithm 1.

Hidden states are carried from step to step, those of the training and of the validation text apart, without a graph.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from darts_core.bilevel.clipped import clipped_second_order
from darts_core.bilevel.gradients import first_order
from darts_core.data.text.windows import TextBatch
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.language_model import Pass, RecurrentSearchNetwork
from darts_core.training.matmul_precision import full_precision

# The authors' choice for recurrent cells: Adam's usual one.
RECURRENT_ALPHA_BETAS: Final = (0.9, 0.999)

PassName = Literal["virtual", "validation", "pair", "weights"]
"""The passes of a step. Each has dropout masks of its own; the pair of the finite difference shares one set."""

DrawMasks = Callable[[PassName], Masks | None]
"""The masks of a pass of this step: the same ones whenever asked."""


VirtualEmbedding = Literal["moved", "fixed"]


class TextSegment(NamedTuple):
    """A window of text, and the hidden state (B, size) that what comes before it ended with."""

    batch: TextBatch
    hidden: Tensor


class Penalties(NamedTuple):
    """What the weights' loss adds. activation: on the dropped outputs' squares; slowness: on their changes' squares."""

    activation: float
    slowness: float


def penalised(loss: Tensor, passed: Pass, penalties: Penalties) -> Tensor:
    """The loss with activation and slowness penalties. Merity et al. (arXiv:1708.01009)."""
    if penalties.activation:
        loss = loss + penalties.activation * passed.dropped.square().mean()
    if penalties.slowness and len(passed.outputs) > 1:
        loss = loss + penalties.slowness * (passed.outputs[1:] - passed.outputs[:-1]).square().mean()
    return loss


class RecurrentArchitect:
    """Steps the alphas of a language model by Adam on the validation loss, to first or second order.

    The losses leave the penalties out. The weights are only read: the second order takes learning rate and weight
    decay from their optimiser. virtual_embedding: whether the virtual step moves the tied embedding, as the paper's
    equation says, or leaves it fixed, as the authors' code does.
    """

    def __init__(
        self,
        network: RecurrentSearchNetwork,
        weight_optimizer: torch.optim.SGD,
        *,
        order: Literal[1, 2],
        lr: float,
        weight_decay: float,
        grad_clip: float,
        virtual_embedding: VirtualEmbedding = "moved",
    ) -> None:
        self._network = network
        self._weight_optimizer = weight_optimizer
        self._order = order
        self._clip = grad_clip
        self._alphas = list(network.alphas.values())
        self._weights = network.weights()
        self._fixed = [network.encoder.weight] if virtual_embedding == "fixed" else []
        self.optimizer = torch.optim.Adam(self._alphas, lr=lr, betas=RECURRENT_ALPHA_BETAS, weight_decay=weight_decay)

    def step(self, training: TextSegment, validation: TextSegment, masks: DrawMasks) -> Tensor:
        """Move the alphas once; leaves every weight as it was, bit for bit. Gives the next validation state."""
        gradients, hidden = self.gradient(training, validation, masks)
        for alpha, gradient in zip(self._alphas, gradients, strict=True):
            alpha.grad = gradient
        self.optimizer.step()
        return hidden

    def gradient(self, training: TextSegment, validation: TextSegment, masks: DrawMasks) -> tuple[list[Tensor], Tensor]:
        """The alpha gradient, one tensor an alpha table, and the validation text's next hidden state."""
        after: list[Tensor] = []

        def validated(passed: Pass) -> Tensor:
            after.append(passed.hidden.detach())
            return passed.cross_entropy(validation.batch.targets)

        def of_alphas() -> Tensor:
            with _held(self._weights):
                return validated(self._network(*_inputs(validation), masks("validation")))

        if self._order == 1:
            gradients = first_order(of_alphas, self._alphas)
        else:
            group = self._weight_optimizer.param_groups[0]
            with full_precision(validation.hidden.device):
                gradients = clipped_second_order(
                    lambda: self._training_loss(training, masks("virtual"), held=self._alphas),
                    lambda: self._training_loss(training, masks("pair"), held=self._weights),
                    lambda weights: validated(self._at(weights, validation, masks("validation"))),
                    self._weights,
                    self._alphas,
                    eta=group["lr"],
                    clip=self._clip,
                    weight_decay=group["weight_decay"],
                    fixed=self._fixed,
                )
        return gradients, after[-1]

    def _training_loss(self, training: TextSegment, masks: Masks | None, *, held: Sequence[Tensor]) -> Tensor:
        with _held(held):
            passed: Pass = self._network(*_inputs(training), masks)
            return passed.cross_entropy(training.batch.targets)

    def _at(self, weights: Sequence[Tensor], segment: TextSegment, masks: Masks | None) -> Pass:
        names = (name for name, _ in self._network.named_parameters())
        # Cloned buffers stand in for the authors' copy of the network: the virtual weights leave no trace in the real
        # network's running statistics.
        buffers = {name: buffer.clone() for name, buffer in self._network.named_buffers()}
        state = {**dict(zip(names, weights, strict=True)), **buffers}
        passed: Pass = torch.func.functional_call(self._network, state, (*_inputs(segment), masks))
        return passed


class SearchStepResult(NamedTuple):
    """What came of a step. loss: the training window's mean cross-entropy in nats, without penalties, no graph.

    training, validation: the next hidden states.
    """

    loss: Tensor
    training: Tensor
    validation: Tensor


def recurrent_search_step(
    network: RecurrentSearchNetwork,
    architect: RecurrentArchitect,
    weight_optimizer: torch.optim.SGD,
    training: TextSegment,
    validation: TextSegment,
    masks: DrawMasks,
    *,
    grad_clip: float,
    penalties: Penalties,
) -> SearchStepResult:
    """Move the alphas on the validation window, then the weights on the training window.

    The weight step computes its gradient anew: the architect's, to second order, was taken at the old alphas.
    """
    after_validation = architect.step(training, validation, masks)
    loss, after_training = recurrent_weight_step(
        network, weight_optimizer, training, masks("weights"), grad_clip=grad_clip, penalties=penalties
    )
    return SearchStepResult(loss, after_training, after_validation)


def recurrent_weight_step(
    network: RecurrentSearchNetwork,
    weight_optimizer: torch.optim.SGD,
    training: TextSegment,
    masks: Masks | None,
    *,
    grad_clip: float,
    penalties: Penalties,
) -> tuple[Tensor, Tensor]:
    """Move the weights once, their gradient clipped to the norm `grad_clip`; the alphas stay, bit for bit.

    Gives the mean cross-entropy without penalties, and the next hidden state, both without a graph.
    """
    weights = network.weights()
    weight_optimizer.zero_grad()
    # A gradient of the alphas on training data must not even exist.
    with _held(list(network.alphas.values())):
        passed: Pass = network(*_inputs(training), masks)
        loss = passed.cross_entropy(training.batch.targets)
    penalised(loss, passed, penalties).backward(inputs=weights)  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(weights, grad_clip)
    weight_optimizer.step()
    return loss.detach(), passed.hidden.detach()


@contextlib.contextmanager
def _held(tensors: Sequence[Tensor]) -> Iterator[None]:
    """What is computed while it is open is no function of these leaves: nothing is kept or done for their gradients."""
    before = [tensor.requires_grad for tensor in tensors]
    try:
        for tensor in tensors:
            tensor.requires_grad_(False)
        yield
    finally:
        for tensor, required in zip(tensors, before, strict=True):
            tensor.requires_grad_(required)


def _inputs(segment: TextSegment) -> tuple[Tensor, Tensor]:
    return segment.batch.tokens, segment.hidden
