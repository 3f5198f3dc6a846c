"""Captures the search step as CUDA graphs, each launched as a whole instead of kernel by kernel.

The graphs compute the gradients of alphas and weights. The optimisers' updates, a few operations on flat tensors, run
eagerly, since they read the learning rate and count steps. Captured and eager steps give identical bits. Requires a
fused network with flat weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD
from darts_core.bilevel.step import search_step, weight_gradient
from darts_core.data.batches import Batch
from darts_core.distributed.group import ALONE, Group
from darts_core.kernels import gpu
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.training.step_graph import Replay, StepGraph, captured
from darts_core.training.step_graphs import Capture, memory_pool


class GraphedStep(StepGraph[tuple[Tensor, Tensor]]):
    """Runs `search_step` as CUDA graphs for batches of one size, and eagerly for others: see `StepGraph`."""

    name = "the search step"

    def __init__(
        self,
        network: AlphaNetwork,
        architect: Architect,
        optimizer: FlatSGD,
        grad_clip: float,
        *,
        group: Group = ALONE,
        accumulate: int = 1,
        capture: Capture = captured,
    ) -> None:
        super().__init__()
        self._capture = capture
        self._group = group
        self._network, self._architect, self._optimizer = network, architect, optimizer
        self._grad_clip, self._accumulate = grad_clip, accumulate

    def __call__(self, training: Batch, validation: Batch) -> tuple[Tensor, Tensor]:
        """Run one step; returns like `search_step`. The next call overwrites loss and logits."""
        alike = training.images.shape == validation.images.shape
        if not alike or not self._network.training:
            return self._step((*training, *validation))
        self._optimizer.rate()  # updates the tensor that the graphs read
        return self.run((*training, *validation))

    def _step(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        training, validation = _batches(inputs)
        return search_step(
            self._network,
            self._architect,
            self._optimizer,
            training,
            validation,
            self._grad_clip,
            self._group,
            self._accumulate,
        )

    def _record(self, inputs: Sequence[Tensor]) -> Replay[tuple[Tensor, Tensor]]:
        """Record the gradients of alphas and weights."""
        training, validation = _batches(inputs)
        architect, optimizer = self._architect, self._optimizer
        # The graphs run in sequence, so that they can share a memory pool.
        pool = memory_pool(training.images.device)
        of_alphas: tuple[Callable[[], None], tuple[Tensor, ...]] | None = None
        if self._network.method.trains_alphas:
            of_alphas = self._capture(lambda: tuple(architect.gradient(training, validation)), pool)
        of_weights, (gradient, loss, logits) = self._capture(
            lambda: weight_gradient(self._network, optimizer, training, self._grad_clip, self._group, self._accumulate),
            pool,
        )

        def replay() -> tuple[Tensor, Tensor]:
            if of_alphas is not None:
                replay_alphas, alpha_gradient = of_alphas
                replay_alphas()
                architect.apply(alpha_gradient)
            of_weights()
            optimizer.step_by(gradient)
            return loss, logits

        return replay

    def _held(self) -> tuple[float, ...]:
        """The addresses of the optimiser's tensors, which the graphs read, its weight decay, the epoch's numbers, and
        whether kernels compute.
        """
        network, optimizer = self._network, self._optimizer
        momentum = optimizer.momentum_buffer
        tensors = [optimizer.weights.values, optimizer.rate(), *([] if momentum is None else [momentum])]
        numbers = optimizer.param_groups[0]["weight_decay"], *network.method.schedule, network.guard_penalty
        return *numbers, gpu.available(), *(tensor.data_ptr() for tensor in tensors)


def _batches(inputs: Sequence[Tensor]) -> tuple[Batch, Batch]:
    images, labels, other_images, other_labels = inputs
    return Batch(images, labels), Batch(other_images, other_labels)
