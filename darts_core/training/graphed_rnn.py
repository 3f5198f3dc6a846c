"""Runs the retraining step of a language model as CUDA graphs, one for each length of windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from darts_core.bilevel.recurrent import Penalties
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.language_model import LanguageModel
from darts_core.training.averaged_sgd import AveragedSGD
from darts_core.training.fused_sgd import FusedSGD
from darts_core.training.rnn_step import PartResult, TextPart, rnn_step
from darts_core.training.step_graph import Replay, StepGraph, captured

Capture = Callable[[Callable[[], tuple[Tensor, ...]], Any], tuple[Callable[[], None], tuple[Tensor, ...]]]
"""Records a call in a pool of memory; returns its replay and its result: see `captured`."""

# Of a part: tokens, targets, hidden state and masks.
_TENSORS: Final = 3 + len(Masks._fields)


class GraphedRnnStep:
    """Runs `rnn_step` as a CUDA graph for each length of windows that has come up a few times, to the same bits.

    Learning rate and dropout masks are tensors that the graphs read. Graphs of all lengths share their memory, as large
    as the longest window needs. Once a recording has failed, steps of lengths without one are called.
    """

    def __init__(
        self,
        network: LanguageModel,
        optimizer: FusedSGD | AveragedSGD,
        *,
        grad_clip: float,
        penalties: Penalties,
        capture: Capture = captured,
    ) -> None:
        self._network, self._optimizer = network, optimizer
        self._grad_clip, self._penalties, self._capture = grad_clip, penalties, capture
        self._pool: Any = None
        self._graphs: dict[int, _Length] = {}

    @property
    def recorded(self) -> bool:
        """Whether there is a graph for any length."""
        return any(graph.recorded for graph in self._graphs.values())

    def __call__(self, parts: Sequence[TextPart]) -> list[PartResult]:
        """Run one step; returns like `rnn_step`. The next call overwrites the results."""
        length, device = len(parts[0].tokens), parts[0].tokens.device
        graph = self._graphs.get(length)
        failed = any(other.failed for other in self._graphs.values())
        if not self._optimizer.recordable or (failed and (graph is None or not graph.recorded)):
            return rnn_step(self._network, self._optimizer, parts, grad_clip=self._grad_clip, penalties=self._penalties)
        if self._pool is None and device.type == "cuda":
            self._pool = torch.cuda.graph_pool_handle()
        if graph is None:
            graph = self._graphs[length] = _Length(
                self._network, self._optimizer, self._grad_clip, self._penalties, self._capture, self._pool
            )
        self._optimizer.rate()  # updates the tensor that the graphs read
        found = graph.run(_flat(parts))
        return [PartResult(*found[place : place + 2]) for place in range(0, len(found), 2)]


class _Length(StepGraph[tuple[Tensor, ...]]):
    """The step on windows of one length."""

    name = "the training step"

    def __init__(
        self,
        network: LanguageModel,
        optimizer: FusedSGD | AveragedSGD,
        grad_clip: float,
        penalties: Penalties,
        capture: Capture,
        pool: Any,
    ) -> None:
        super().__init__()
        self._network, self._optimizer = network, optimizer
        self._grad_clip, self._penalties, self._capture, self._pool = grad_clip, penalties, capture, pool

    def _step(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        results = rnn_step(
            self._network, self._optimizer, _parts(inputs), grad_clip=self._grad_clip, penalties=self._penalties
        )
        return tuple(tensor for result in results for tensor in result)

    def _record(self, inputs: Sequence[Tensor]) -> Replay[tuple[Tensor, ...]]:
        replay, result = self._capture(lambda: self._step(inputs), self._pool)

        def replayed() -> tuple[Tensor, ...]:
            replay()
            return result

        return replayed


def _flat(parts: Sequence[TextPart]) -> list[Tensor]:
    return [tensor for part in parts for tensor in (*part[:3], *part.masks)]


def _parts(inputs: Sequence[Tensor]) -> list[TextPart]:
    of_parts = [inputs[place : place + _TENSORS] for place in range(0, len(inputs), _TENSORS)]
    return [TextPart(tokens, targets, hidden, Masks(*masks)) for tokens, targets, hidden, *masks in of_parts]
