"""Runs the retraining step of a language model as CUDA graphs, one for each length of windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from torch import Tensor

from darts_core.bilevel.recurrent import Penalties
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.language_model import LanguageModel
from darts_core.training.averaged_sgd import AveragedSGD
from darts_core.training.fused_sgd import FusedSGD
from darts_core.training.rnn_step import PartResult, TextPart, rnn_step
from darts_core.training.step_graphs import StepGraphs, Tensors, memory_pool

# Of a part: tokens, targets, hidden state and masks.
_TENSORS: Final = 3 + len(Masks._fields)


class GraphedRnnStep:
    """Runs `rnn_step` as CUDA graphs, to the same bits. Learning rate and dropout masks are tensors that they read."""

    def __init__(
        self,
        network: LanguageModel,
        optimizer: FusedSGD | AveragedSGD,
        *,
        grad_clip: float,
        penalties: Penalties,
        **options: Any,
    ) -> None:
        """options: of `StepGraphs`."""
        self._optimizer = optimizer
        self._called = partial(rnn_step, network, optimizer, grad_clip=grad_clip, penalties=penalties)
        pool = memory_pool(network.encoder.weight.device)
        self._graphs = StepGraphs("the training step", partial(_step, self._called), pool, **options)

    @property
    def recorded(self) -> bool:
        """Whether there is a graph for any length."""
        return self._graphs.recorded

    def __call__(self, parts: Sequence[TextPart]) -> list[PartResult]:
        """Run one step; returns like `rnn_step`. The next call overwrites the results."""
        if not self._optimizer.recordable:
            return self._called(parts)
        self._optimizer.rate()  # updates the tensor that the graphs read
        found = self._graphs.run(_flat(parts))
        return [PartResult(*found[place : place + 2]) for place in range(0, len(found), 2)]


def _step(called: Callable[[Sequence[TextPart]], list[PartResult]], inputs: Sequence[Tensor]) -> Tensors:
    return tuple(tensor for result in called(_parts(inputs)) for tensor in result)


def _flat(parts: Sequence[TextPart]) -> list[Tensor]:
    return [tensor for part in parts for tensor in (*part[:3], *part.masks)]


def _parts(inputs: Sequence[Tensor]) -> list[TextPart]:
    of_parts = [inputs[place : place + _TENSORS] for place in range(0, len(inputs), _TENSORS)]
    return [TextPart(tokens, targets, hidden, Masks(*masks)) for tokens, targets, hidden, *masks in of_parts]
