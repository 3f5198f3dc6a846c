"""Optimises the alphas by the architect: DARTS (arXiv:1806.09055), algorithm 1, first line of the loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.bilevel import flat_gradients, gradients
from darts_core.bilevel.flat import FlatSGD
from darts_core.data.batches import Batch
from darts_core.distributed.group import ALONE, Group
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.training.matmul_precision import full_precision


class Architect:
    """Optimises the alphas of a supernet by Adam on the validation loss, to first or second order.

    The weights are left unchanged. The second order reads learning rate, momentum and weight decay from their
    optimiser; with a `FlatSGD` it operates on all weights as one tensor, otherwise one by one (the reference).
    """

    def __init__(
        self,
        network: AlphaNetwork,
        weight_optimizer: torch.optim.SGD,
        *,
        order: Literal[1, 2],
        lr: float,
        weight_decay: float,
        group: Group = ALONE,
        accumulate: int = 1,
        grad_clip: float | None = None,
    ) -> None:
        """accumulate: number of parts in which each batch is computed. grad_clip: maximum norm of the gradient."""
        self._grad_clip = grad_clip
        self._network = network
        self._weight_optimizer = weight_optimizer
        self._order = order
        self._group = group
        self._accumulate = accumulate
        self._alphas = list(network.alphas.values())
        self._weights = network.weights()
        self.optimizer = torch.optim.Adam(
            self._alphas, lr=lr, betas=network.method.alpha_betas, weight_decay=weight_decay
        )

    def step(self, training: Batch, validation: Batch) -> None:
        """Update the alphas once; the weights stay bit-identical. Only order 2 uses `training`."""
        self.apply(self.gradient(training, validation))

    def apply(self, gradients: Sequence[Tensor]) -> None:
        """Update the alphas by these gradients."""
        for alpha, gradient in zip(self._alphas, gradients, strict=True):
            alpha.grad = gradient
        if self._grad_clip is not None:
            torch.nn.utils.clip_grad_norm_(self._alphas, self._grad_clip)
        self.optimizer.step()
        self._network.method.rest(self._network.alphas)

    def gradient(self, training: Batch, validation: Batch) -> list[Tensor]:
        """Return the alpha gradient, one tensor per alpha table. The network keeps its mode.

        With several ranks, the batches are this rank's share, and the gradients are means over the ranks.
        """
        self._network.method.begin_pass("alphas")
        found = self._validation_gradient(training, validation)
        penalty = self._network.alpha_penalty()
        if penalty is None:
            return found
        extra = torch.autograd.grad(penalty, self._alphas)
        return [gradient + more for gradient, more in zip(found, extra, strict=True)]

    def _validation_gradient(self, training: Batch, validation: Batch) -> list[Tensor]:
        if self._order == 1:
            if isinstance(self._weight_optimizer, FlatSGD):
                with self._weight_optimizer.weights.frozen():
                    return gradients.first_order(lambda: self._loss(validation), self._alphas, mean=self._group.mean)
            return gradients.first_order(lambda: self._loss(validation), self._alphas, mean=self._group.mean)
        with full_precision(validation.images.device):
            return self._second_order(training, validation)

    def _second_order(self, training: Batch, validation: Batch) -> list[Tensor]:
        group = self._weight_optimizer.param_groups[0]
        if isinstance(self._weight_optimizer, FlatSGD):
            return flat_gradients.second_order(
                self._network,
                lambda: self._loss(training),
                lambda: self._loss(validation),
                self._weight_optimizer.weights,
                self._alphas,
                self._weight_optimizer.momentum_buffer,
                eta=self._weight_optimizer.rate(),
                momentum=group["momentum"],
                weight_decay=group["weight_decay"],
                mean=self._group.mean,
            )
        state = self._weight_optimizer.state
        return gradients.second_order(
            lambda: self._loss(training),
            lambda weights: self._loss_at(weights, validation),
            self._weights,
            self._alphas,
            [state[weight].get("momentum_buffer") if weight in state else None for weight in self._weights],
            eta=group["lr"],
            momentum=group["momentum"],
            weight_decay=group["weight_decay"],
            mean=self._group.mean,
        )

    def _loss(self, batch: Batch) -> Iterator[Tensor]:
        for part, share in batch.parts(self._accumulate):
            yield share * F.cross_entropy(self._network(part.images), part.labels)

    def _loss_at(self, weights: Sequence[Tensor], batch: Batch) -> Iterator[Tensor]:
        names = (name for name, _ in self._network.named_parameters())
        # Cloned buffers protect the network's running statistics from the virtual weights, like the authors' copy of
        # the network.
        buffers = {name: buffer.clone() for name, buffer in self._network.named_buffers()}
        state = {**dict(zip(names, weights, strict=True)), **buffers}
        for part, share in batch.parts(self._accumulate):
            logits = torch.func.functional_call(self._network, state, (part.images,))
            yield share * F.cross_entropy(logits, part.labels)
