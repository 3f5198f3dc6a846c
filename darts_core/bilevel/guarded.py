"""Repeats a search step with torch's operations when Triton fails to compile one of its kernels.

The self-test of a run compiles the kernels of its cells, but a disk that is full or a variant that it does not have may
still fail in the first step.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from darts_core.bilevel.architect import Architect
from darts_core.data.batches import Batch
from darts_core.kernels import gpu
from darts_core.models.alpha_network import AlphaNetwork

logger = logging.getLogger(__name__)

Step = Callable[[Batch, Batch], tuple[Tensor, Tensor]]


class GuardedStep:
    """Runs a step; if Triton fails, restores the state, disables the kernels and runs it once more.

    Only the first step on batches of each shape is guarded, since later ones compile nothing. For a single GPU: of
    several, one cannot repeat its exchanges alone, and the error ends the run.
    """

    def __init__(
        self, step: Step, network: AlphaNetwork, architect: Architect, weight_optimizer: torch.optim.SGD
    ) -> None:
        self._step = step
        self._network = network
        self._optimizers = architect.optimizer, weight_optimizer
        self._compiled: set[tuple[torch.Size, torch.Size]] = set()

    def __call__(self, training: Batch, validation: Batch) -> tuple[Tensor, Tensor]:
        """Run one step; returns like `search_step`."""
        shapes = training.images.shape, validation.images.shape
        if shapes in self._compiled or not gpu.available():
            return self._step(training, validation)
        before = self._state()
        try:
            result = self._step(training, validation)
        except gpu.compile_errors() as error:
            gpu.disable(f"a GPU kernel of the search step failed: {gpu.cause(error)}")
            logger.warning("%s; torch's own operations compute on", gpu.failure())
            self._restore(before)
            result = self._step(training, validation)
        self._compiled.add(shapes)
        return result

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Tensor], list[dict[str, Any]]]:
        optimizers = [copy.deepcopy(optimizer.state_dict()) for optimizer in self._optimizers]
        return _copied(self._network.state_dict()), _copied(self._network.alphas), optimizers

    def _restore(self, state: tuple[dict[str, Tensor], dict[str, Tensor], list[dict[str, Any]]]) -> None:
        weights, alphas, optimizers = state
        self._network.load_state_dict(weights)
        self._network.load_alphas(alphas)
        for optimizer, of_optimizer in zip(self._optimizers, optimizers, strict=True):
            optimizer.load_state_dict(of_optimizer)


def _copied(tensors: Any) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
