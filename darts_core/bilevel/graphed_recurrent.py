"""Captures the gradients of a recurrent search step as CUDA graphs, one for each length of windows.

The optimisers' updates, a few operations on all tensors, run eagerly, since they read the learning rate and count
steps. Random numbers are drawn before: dropout masks, and those of the method. Captured and eager steps give identical
bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from darts_core.bilevel.recurrent import (
    DrawMasks,
    Penalties,
    RecurrentArchitect,
    SearchStepResult,
    TextSegment,
    recurrent_weight_gradient,
    step_by,
)
from darts_core.data.text.windows import TextBatch
from darts_core.kernels.gpu import recurrent
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork
from darts_core.training.step_graphs import StepGraphs, Tensors, memory_pool

# Of a segment: tokens, targets and hidden state.
_SEGMENT: Final = 3
_MASKS: Final = len(Masks._fields)
# Graphs of each gradient: their thousands of kernels take memory, and windows at a text's end have any length.
_MOST: Final = 16


class GraphedRecurrentStep:
    """Runs `recurrent_search_step` as CUDA graphs of both gradients: see `StepGraphs`.

    To first order the alphas' gradient goes by the length of the validation window alone, to second order by both.
    """

    def __init__(
        self,
        network: RecurrentSearchNetwork,
        architect: RecurrentArchitect,
        weight_optimizer: torch.optim.SGD,
        *,
        grad_clip: float,
        penalties: Penalties,
        **options: Any,
    ) -> None:
        """options: of `StepGraphs`."""
        self._network, self._architect, self._optimizer = network, architect, weight_optimizer
        gradients, method = _Gradients(network, architect, grad_clip, penalties), network.method
        pool = memory_pool(network.encoder.weight.device)
        options = {"most": _MOST, "held": lambda: (method.schedule, recurrent.available()), **options}
        self._of_alphas = StepGraphs("the alphas' gradient", gradients.of_alphas, pool, **options)
        self._of_weights = StepGraphs("the weights' gradient", gradients.of_weights, pool, **options)

    def __call__(self, training: TextSegment, validation: TextSegment, masks: DrawMasks) -> SearchStepResult:
        """Run one step; returns like `recurrent_search_step`."""
        network, architect, method = self._network, self._architect, self._network.method
        after_validation = validation.hidden
        if method.trains_alphas:
            architect.rate()  # updates the tensor that the graphs read
            segments = [validation] if architect.order == 1 else [validation, training]
            drawn = method.draw_ahead("alphas", network.alphas)
            *gradient, hidden = self._of_alphas.run(_flat(segments, map(masks, architect.passes), drawn.values()))
            architect.apply(gradient)
            after_validation = hidden.clone()  # the next graph may overwrite it
        drawn = method.draw_ahead("weights", network.alphas)
        *gradient, loss, hidden = self._of_weights.run(_flat([training], [masks("weights")], drawn.values()))
        step_by(network, self._optimizer, gradient)
        return SearchStepResult(loss.clone(), hidden.clone(), after_validation)


@dataclass(frozen=True)
class _Gradients:
    """The gradients of a step on the inputs that `_flat` makes, each followed by the next hidden state."""

    network: RecurrentSearchNetwork
    architect: RecurrentArchitect
    grad_clip: float
    penalties: Penalties

    def of_alphas(self, inputs: Sequence[Tensor]) -> Tensors:
        names = self.architect.passes
        segments, masks, numbers = self._split(inputs, self.architect.order, len(names))
        of_passes = dict(zip(names, masks, strict=True))
        with self.network.method.given(numbers):
            # To first order the training segment is not read.
            gradients, hidden = self.architect.gradient(segments[-1], segments[0], of_passes.__getitem__)
        return (*gradients, hidden)

    def of_weights(self, inputs: Sequence[Tensor]) -> Tensors:
        """The loss stands before the hidden state."""
        [training], [masks], numbers = self._split(inputs, 1, 1)
        with self.network.method.given(numbers):
            found = recurrent_weight_gradient(
                self.network, training, masks, grad_clip=self.grad_clip, penalties=self.penalties
            )
        return (*found.gradient, found.loss, found.hidden)

    def _split(
        self, inputs: Sequence[Tensor], segments: int, passes: int
    ) -> tuple[list[TextSegment], list[Masks], dict[str, Tensor]]:
        first, last = _SEGMENT * segments, _SEGMENT * segments + _MASKS * passes
        of_segments = [
            TextSegment(TextBatch(*inputs[place : place + 2]), inputs[place + 2]) for place in range(0, first, _SEGMENT)
        ]
        of_passes = [Masks(*inputs[place : place + _MASKS]) for place in range(first, last, _MASKS)]
        return of_segments, of_passes, dict(zip(self.network.alphas, inputs[last:], strict=False))


def _flat(segments: Iterable[TextSegment], masks: Iterable[Masks | None], numbers: Iterable[Tensor]) -> list[Tensor]:
    of_segments = [tensor for segment in segments for tensor in (*segment.batch, segment.hidden)]
    of_masks: list[Tensor] = []
    for of_pass in masks:
        assert of_pass is not None
        of_masks += of_pass
    return [*of_segments, *of_masks, *numbers]
