"""The search step as CUDA graphs: recorded once, then launched as a whole instead of kernel by kernel.

What is recorded are the two gradients, the alphas' and the weights'. The optimisers' own steps, a few operations on
runs of numbers, stay outside: they read the learning rate and count. So a replayed step gives the bits of a called one,
and nothing about it is kept but the recording. Wants a network in the fused arrangement, with its weights in one run.
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
from darts_core.models.supernet import SearchNetwork
from darts_core.training.stages import GRAPHS, stage

logger = logging.getLogger(__name__)

# Steps before the recording: kernels are compiled and chosen in them, and momentum comes to be.
WARM_UP: Final = 3


class GraphedStep:
    """`search_step` of one process for batches of one size; others, as at a pass's end, are computed call by call.

    Where recording fails it logs one line, and all steps are computed call by call.
    """

    def __init__(
        self,
        network: SearchNetwork,
        architect: Architect,
        optimizer: FlatSGD,
        grad_clip: float,
        *,
        accumulate: int = 1,
    ) -> None:
        self._network, self._architect, self._optimizer = network, architect, optimizer
        self._grad_clip, self._accumulate = grad_clip, accumulate
        self._size = torch.Size()
        self._seen = 0
        self._captured: _CapturedStep | None = None
        self._failed = False

    def __call__(self, training: Batch, validation: Batch) -> tuple[Tensor, Tensor]:
        """What `search_step` gives. The loss and the logits are good until the next call."""
        alike = training.images.shape == validation.images.shape and training.images.is_cuda
        if not alike or self._failed or not self._network.training:
            return self._eager(training, validation)
        if training.images.shape != self._size:
            if self._captured is not None and len(training.labels) < self._size[0]:
                return self._eager(training, validation)  # the rest that a pass ends with
            self._size, self._seen, self._captured = training.images.shape, 0, None
        self._optimizer.rate()  # up to date before it is read from
        if self._captured is not None and not self._captured.holds(self._optimizer):
            self._seen, self._captured = 0, None  # the weights were moved or a state was loaded
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
            accumulate=self._accumulate,
        )

    def _capture(self, training: Batch, validation: Batch) -> _CapturedStep | None:
        # What the warm-up's tensors took would otherwise stay beside the recording's own memory.
        torch.cuda.empty_cache()
        try:
            return _CapturedStep(
                self._network,
                self._architect,
                self._optimizer,
                self._grad_clip,
                self._accumulate,
                Batch(training.images.clone(), training.labels.clone()),
                Batch(validation.images.clone(), validation.labels.clone()),
            )
        except RuntimeError as error:  # out of memory is one, too
            logger.warning("no CUDA graph of the search step, going on call by call: %s", str(error).split("\n")[0])
            return None


class _CapturedStep:
    """Both gradients of a step, on batches that are copied to where they were when it was recorded."""

    def __init__(
        self,
        network: SearchNetwork,
        architect: Architect,
        optimizer: FlatSGD,
        grad_clip: float,
        accumulate: int,
        training: Batch,
        validation: Batch,
    ) -> None:
        self._architect, self._optimizer = architect, optimizer
        self._training, self._validation = training, validation
        self._places = _places(optimizer)
        self._of_alphas, self._of_weights = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        # Other threads, which send reports and save checkpoints, need not keep away from the GPU meanwhile.
        with torch.cuda.graph(self._of_alphas, capture_error_mode="thread_local"):
            self._alpha_gradient = architect.gradient(training, validation)
        # One after the other, always: they can share their memory.
        with torch.cuda.graph(self._of_weights, pool=self._of_alphas.pool(), capture_error_mode="thread_local"):
            self._weight_gradient: WeightGradient = weight_gradient(
                network, optimizer, training, grad_clip, accumulate=accumulate
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
        """Whether what the recording reads still lies where it did."""
        return _places(optimizer) == self._places


def _places(optimizer: FlatSGD) -> tuple[int, ...]:
    momentum = optimizer.momentum_buffer
    tensors = [optimizer.weights.values, optimizer.rate(), *([] if momentum is None else [momentum])]
    return tuple(tensor.data_ptr() for tensor in tensors)


def _on_side_stream(step: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Computed on another stream, as a recording is."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        result = step()
    torch.cuda.current_stream().wait_stream(stream)
    for tensor in result:
        tensor.record_stream(torch.cuda.current_stream())
    return result
