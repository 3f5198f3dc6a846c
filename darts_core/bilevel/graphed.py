"""Captures the search step as CUDA graphs, each launched as a whole instead of kernel by kernel.

The graphs compute the gradients of alphas and weights. The optimisers' updates, a few operations on flat tensors, run
eagerly, since they read the learning rate and count steps. Captured and eager steps give identical bits. Requires a
fused network with flat weights.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD
from darts_core.bilevel.step import WeightGradient, search_step, weight_gradient
from darts_core.data.batches import Batch
from darts_core.distributed.group import ALONE, Group
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.training.stages import GRAPHS, stage

logger = logging.getLogger(__name__)

# Eager steps before the capture, which compile and select kernels and create the momentum buffer.
WARM_UP: Final = 3


class GraphedStep:
    """Runs `search_step` as CUDA graphs for batches of one size, and eagerly for others.

    If the capture fails, logs a warning and runs all steps eagerly. The graphs of several ranks hold their all-reduces,
    in the order of an eager step: a rank whose capture fails goes on with the others.
    """

    def __init__(
        self,
        network: AlphaNetwork,
        architect: Architect,
        optimizer: FlatSGD,
        grad_clip: float,
        *,
        group: Group = ALONE,
        accumulate: int = 1,
    ) -> None:
        self._group = group
        self._network, self._architect, self._optimizer = network, architect, optimizer
        self._grad_clip, self._accumulate = grad_clip, accumulate
        self._size = torch.Size()
        self._seen = 0
        self._captured: _CapturedStep | None = None
        self._failed = False

    def __call__(self, training: Batch, validation: Batch) -> tuple[Tensor, Tensor]:
        """Run one step; returns like `search_step`. The next call overwrites loss and logits."""
        alike = training.images.shape == validation.images.shape and training.images.is_cuda
        if not alike or self._failed or not self._network.training:
            return self._eager(training, validation)
        if training.images.shape != self._size:
            if self._captured is not None and len(training.labels) < self._size[0]:
                return self._eager(training, validation)  # the last, smaller batch of an epoch
            self._size, self._seen, self._captured = training.images.shape, 0, None
        self._optimizer.rate()  # updates the tensor that the graphs read
        if self._captured is not None and not self._captured.holds(self._optimizer):
            self._seen, self._captured = 0, None  # weights or optimiser state have new addresses
        if self._captured is None:
            if self._seen < WARM_UP:
                self._seen += 1
                return _on_side_stream(lambda: self._eager(training, validation))
            with stage(GRAPHS):
                self._captured = self._capture(training, validation)
            if self._captured is None:
                self._failed = True
                return self._eager(training, validation)
        return self._captured(training, validation)

    def _eager(self, training: Batch, validation: Batch) -> tuple[Tensor, Tensor]:
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

    def _capture(self, training: Batch, validation: Batch) -> _CapturedStep | None:
        # Frees the warm-up's memory, which the graphs' own pool cannot use.
        torch.cuda.empty_cache()
        try:
            return _CapturedStep(
                self._network,
                self._architect,
                self._optimizer,
                self._grad_clip,
                self._group,
                self._accumulate,
                Batch(training.images.clone(), training.labels.clone()),
                Batch(validation.images.clone(), validation.labels.clone()),
            )
        except RuntimeError as error:  # includes out of memory
            logger.warning("no CUDA graph of the search step, going on call by call: %s", str(error).split("\n")[0])
            return None


class _CapturedStep:
    """The graphs of both gradients. Batches are copied to the tensors that the graphs read."""

    def __init__(
        self,
        network: AlphaNetwork,
        architect: Architect,
        optimizer: FlatSGD,
        grad_clip: float,
        group: Group,
        accumulate: int,
        training: Batch,
        validation: Batch,
    ) -> None:
        self._architect, self._optimizer = architect, optimizer
        self._training, self._validation = training, validation
        self._places, self._weight_decay = _places(optimizer), optimizer.param_groups[0]["weight_decay"]
        self._of_alphas, self._of_weights = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        # Lets other threads, which report and save checkpoints, use the GPU during the capture.
        with torch.cuda.graph(self._of_alphas, capture_error_mode="thread_local"):
            self._alpha_gradient = architect.gradient(training, validation)
        # The graphs run in sequence, so that they can share a memory pool.
        with torch.cuda.graph(self._of_weights, pool=self._of_alphas.pool(), capture_error_mode="thread_local"):
            self._weight_gradient: WeightGradient = weight_gradient(
                network, optimizer, training, grad_clip, group, accumulate
            )

    def __call__(self, training: Batch, validation: Batch) -> tuple[Tensor, Tensor]:
        for place, batch in ((self._training, training), (self._validation, validation)):
            place.images.copy_(batch.images)
            place.labels.copy_(batch.labels)
        self._of_alphas.replay()
        self._architect.apply(self._alpha_gradient)
        self._of_weights.replay()
        self._optimizer.step_by(self._weight_gradient.gradient)
        return self._weight_gradient.loss, self._weight_gradient.logits

    def holds(self, optimizer: FlatSGD) -> bool:
        """Whether the optimiser's tensors have the addresses that the graphs read, and its weight decay the value."""
        return _places(optimizer) == self._places and optimizer.param_groups[0]["weight_decay"] == self._weight_decay


def _places(optimizer: FlatSGD) -> tuple[int, ...]:
    momentum = optimizer.momentum_buffer
    tensors = [optimizer.weights.values, optimizer.rate(), *([] if momentum is None else [momentum])]
    return tuple(tensor.data_ptr() for tensor in tensors)


def _on_side_stream(step: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Run the step on a side stream, as a capture does."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        result = step()
    torch.cuda.current_stream().wait_stream(stream)
    for tensor in result:
        tensor.record_stream(torch.cuda.current_stream())
    return result
