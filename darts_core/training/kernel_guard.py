"""Repeats a call with torch's operations when Triton fails to compile one of its kernels.

The self-test of a run compiles the kernels of its cells, but a disk that is full or a variant that it does not have may
still fail where a search first needs one.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch import Tensor

from darts_core.distributed.group import ALONE, Group
from darts_core.kernels import gpu
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork
from darts_core.training.kernel_use import Kernels

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
_State = tuple[dict[str, Tensor], dict[str, Tensor], list[dict[str, Any]]]


class KernelGuard:
    """Makes a search's calls; if Triton fails, restores the state, disables the kernels and makes the call once more.

    Only the first call on inputs of each shape is guarded, since later ones compile nothing. For a single GPU: of
    several, one cannot repeat its exchanges alone, and the error ends the run.
    """

    def __init__(
        self,
        network: AlphaNetwork | RecurrentSearchNetwork,
        *optimizers: torch.optim.Optimizer,
        kernels: Kernels = gpu,
        group: Group = ALONE,
    ) -> None:
        """network, optimizers: the state that calls change, besides what they set themselves before they read it."""
        self._network, self._optimizers = network, optimizers
        self._kernels, self._alone = kernels, group.size == 1
        self._compiled: set[Hashable] = set()

    def run(self, name: str, call: Callable[[], Result], *shapes: torch.Size) -> Result:
        """Make a call. name: in the log. shapes: of the call's inputs, if they differ from call to call."""
        # The gradient of the alphas has kernels of its own.
        variant = name, self._network.method.trains_alphas, shapes
        if variant in self._compiled or not self._alone or not self._kernels.available():
            return call()
        before = self._state()
        try:
            result = call()
        except gpu.compile_errors() as error:
            self._kernels.disable(f"a GPU kernel of {name} failed: {gpu.cause(error)}")
            logger.warning("%s; torch's own operations compute on", self._kernels.failure())
            self._restore(before)
            result = call()
        self._compiled.add(variant)
        return result

    def _state(self) -> _State:
        optimizers = [copy.deepcopy(optimizer.state_dict()) for optimizer in self._optimizers]
        return _copied(self._network.state_dict()), _copied(self._network.alphas), optimizers

    def _restore(self, state: _State) -> None:
        weights, alphas, optimizers = state
        self._network.load_state_dict(weights)
        self._network.load_alphas(alphas)
        for optimizer, of_optimizer in zip(self._optimizers, optimizers, strict=True):
            optimizer.load_state_dict(of_optimizer)


def _copied(tensors: Any) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
