"""Runs one search step for a recurrent cell, alphas then weights: DARTS (arXiv:1806.09055), algorithm 1.

Training text and validation text each carry a detached hidden state from step to step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from darts_core.bilevel.clipped import clipped_second_order
from darts_core.bilevel.gradients import first_order
from darts_core.data.text.windows import TextBatch
from darts_core.models.device_scalar import DeviceScalar
from darts_core.models.held import held
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.language_model import Pass, RecurrentSearchNetwork
from darts_core.training.matmul_precision import full_precision

# The DARTS authors' betas for recurrent cells, Adam's defaults.
RECURRENT_ALPHA_BETAS: Final = (0.9, 0.999)

PassName = Literal["virtual", "validation", "pair", "weights"]
"""The passes of a step. Each has its own dropout masks; both sides of the finite difference share the pair's."""

DrawMasks = Callable[[PassName], Masks | None]
"""Returns the masks of a pass of this step, the same in each call."""


VirtualEmbedding = Literal["moved", "fixed"]


class TextSegment(NamedTuple):
    """A window of text and the hidden state (B, size) of the preceding one."""

    batch: TextBatch
    hidden: Tensor


class Penalties(NamedTuple):
    """Coefficients of the training penalties. activation: squared dropped outputs; slowness: squared changes."""

    activation: float
    slowness: float


def penalised(loss: Tensor, passed: Pass, penalties: Penalties) -> Tensor:
    """Add activation and slowness penalties to the loss: Merity et al. (arXiv:1708.01009)."""
    if penalties.activation:
        loss = loss + penalties.activation * passed.dropped.square().mean()
    if penalties.slowness and len(passed.outputs) > 1:
        loss = loss + penalties.slowness * (passed.outputs[1:] - passed.outputs[:-1]).square().mean()
    return loss


class RecurrentArchitect:
    """Optimises the alphas of a language model by Adam on the validation loss, to first or second order.

    The losses exclude penalties. The weights are left unchanged; the second order reads learning rate and weight decay
    from their optimiser. virtual_embedding: "moved" includes the tied embedding in the virtual step, as in the paper's
    equation; "fixed" excludes it, as in the authors' code.
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
        self.order = order
        self._clip = grad_clip
        self._alphas = list(network.alphas.values())
        self._weights = network.weights()
        self._fixed = [network.encoder.weight] if virtual_embedding == "fixed" else []
        self._rate = DeviceScalar()
        self.optimizer = torch.optim.Adam(self._alphas, lr=lr, betas=RECURRENT_ALPHA_BETAS, weight_decay=weight_decay)

    def step(self, training: TextSegment, validation: TextSegment, masks: DrawMasks) -> Tensor:
        """Update the alphas once and return the next validation state; the weights stay bit-identical."""
        gradients, hidden = self.gradient(training, validation, masks)
        self.apply(gradients)
        return hidden

    def apply(self, gradients: Sequence[Tensor]) -> None:
        """Update the alphas by these gradients."""
        for alpha, gradient in zip(self._alphas, gradients, strict=True):
            alpha.grad = gradient
        self.optimizer.step()

    @property
    def passes(self) -> tuple[PassName, ...]:
        """The passes of a gradient, each of which has masks of its own."""
        return ("validation",) if self.order == 1 else ("virtual", "validation", "pair")

    def rate(self) -> Tensor:
        """Return the weights' learning rate as a scalar on their device, in the same tensor, as CUDA graphs need."""
        weight = self._weights[0]
        return self._rate.holding(self._weight_optimizer.param_groups[0]["lr"], weight.device, weight.dtype)

    def gradient(self, training: TextSegment, validation: TextSegment, masks: DrawMasks) -> tuple[list[Tensor], Tensor]:
        """Return the alpha gradient, one tensor per alpha table, and the validation text's next hidden state."""
        after: list[Tensor] = []
        self._network.method.begin_pass("alphas")

        def validated(passed: Pass) -> Tensor:
            after.append(passed.hidden.detach())
            return passed.cross_entropy(validation.batch.targets)

        def of_alphas() -> Tensor:
            with held(self._weights):
                return validated(self._network(*_inputs(validation), masks("validation")))

        if self.order == 1:
            gradients = first_order(of_alphas, self._alphas)
        else:
            group = self._weight_optimizer.param_groups[0]
            with full_precision(validation.hidden.device):
                gradients = clipped_second_order(
                    lambda: self._training_loss(training, masks("virtual"), fixed=self._alphas),
                    lambda: self._training_loss(training, masks("pair"), fixed=self._weights),
                    lambda weights: validated(self._at(weights, validation, masks("validation"))),
                    self._weights,
                    self._alphas,
                    eta=self.rate(),
                    clip=self._clip,
                    weight_decay=group["weight_decay"],
                    fixed=self._fixed,
                )
        penalty = self._network.method.alpha_penalty(self._network.alphas)
        if penalty is not None:
            extra = torch.autograd.grad(penalty, self._alphas)
            gradients = [gradient + more for gradient, more in zip(gradients, extra, strict=True)]
        return gradients, after[-1]

    def _training_loss(self, training: TextSegment, masks: Masks | None, *, fixed: Sequence[Tensor]) -> Tensor:
        with held(fixed):
            passed: Pass = self._network(*_inputs(training), masks)
            return passed.cross_entropy(training.batch.targets)

    def _at(self, weights: Sequence[Tensor], segment: TextSegment, masks: Masks | None) -> Pass:
        names = (name for name, _ in self._network.named_parameters())
        # Cloned buffers protect the network's running statistics from the virtual weights, like the authors' copy of
        # the network.
        buffers = {name: buffer.clone() for name, buffer in self._network.named_buffers()}
        state = {**dict(zip(names, weights, strict=True)), **buffers}
        passed: Pass = torch.func.functional_call(self._network, state, (*_inputs(segment), masks))
        return passed


class SearchStepResult(NamedTuple):
    """The result of a step. loss: detached mean cross-entropy of the training window in nats, without penalties.

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
    """Update the alphas on the validation window, then the weights on the training window.

    The weight step recomputes its gradient, since the architect's is at the old alphas.
    """
    after_validation = validation.hidden
    if network.method.trains_alphas:
        after_validation = architect.step(training, validation, masks)
    found = recurrent_weight_gradient(network, training, masks("weights"), grad_clip=grad_clip, penalties=penalties)
    step_by(network, weight_optimizer, found.gradient)
    return SearchStepResult(found.loss, found.hidden, after_validation)


class WeightGradient(NamedTuple):
    """gradient: of each weight, clipped. loss: mean cross-entropy in nats, without penalties.

    hidden: the next state. All detached.
    """

    gradient: list[Tensor]
    loss: Tensor
    hidden: Tensor


def recurrent_weight_gradient(
    network: RecurrentSearchNetwork,
    training: TextSegment,
    masks: Masks | None,
    *,
    grad_clip: float,
    penalties: Penalties,
) -> WeightGradient:
    """Compute the gradient of the weights, clipped to the norm `grad_clip`, and nothing of the alphas."""
    weights = network.weights()
    network.method.begin_pass("weights")
    # The alphas must never have a gradient on training data.
    with held(list(network.alphas.values())):
        passed: Pass = network(*_inputs(training), masks)
        loss = passed.cross_entropy(training.batch.targets)
    gradient = torch.autograd.grad(penalised(loss, passed, penalties), weights)
    for weight, of_weight in zip(weights, gradient, strict=True):
        weight.grad = of_weight
    torch.nn.utils.clip_grad_norm_(weights, grad_clip)
    return WeightGradient(list(gradient), loss.detach(), passed.hidden.detach())


def step_by(network: RecurrentSearchNetwork, weight_optimizer: torch.optim.SGD, gradient: Sequence[Tensor]) -> None:
    """Update the weights by their gradient; the alphas stay bit-identical."""
    for weight, of_weight in zip(network.weights(), gradient, strict=True):
        weight.grad = of_weight
    weight_optimizer.step()


def _inputs(segment: TextSegment) -> tuple[Tensor, Tensor]:
    return segment.batch.tokens, segment.hidden
