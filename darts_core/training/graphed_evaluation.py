"""Runs the retraining step as CUDA graphs: both passes, clipping and SGD, one graph for each size of batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from darts_core.configs import EvaluationConfig
from darts_core.data.batches import Batch
from darts_core.distributed.group import ALONE, Group
from darts_core.models.retrained import RetrainedNetwork
from darts_core.training.evaluation_step import draw_paths, evaluation_step
from darts_core.training.fused_sgd import FusedSGD
from darts_core.training.step_graphs import StepGraphs, Tensors


class GraphedEvaluation:
    """Runs `evaluation_step` as CUDA graphs, to the same bits: one for each size of batch, with drop-path and without.

    Learning rate and drop-path's probability are tensors that the graphs read. The numbers by which paths are dropped
    are drawn before the replay: a recording that fails leaves the generator as it was. For a network without noise.
    """

    def __init__(
        self,
        network: RetrainedNetwork,
        optimizer: FusedSGD,
        config: EvaluationConfig,
        group: Group = ALONE,
        *,
        pool: Any,
        **options: Any,
    ) -> None:
        """pool: of `memory_pool`. options: of `StepGraphs`."""
        self._network, self._optimizer, self._config = network, optimizer, config
        self._called: Callable[..., tuple[Tensor, Tensor]] = partial(
            evaluation_step, network, optimizer, config=config, group=group
        )
        self._graphs = StepGraphs("the training step", partial(_step, self._called), pool, **options)

    @property
    def recorded(self) -> bool:
        """Whether there is a graph for any size of batch."""
        return self._graphs.recorded

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Run one step; returns like `evaluation_step`. The next call overwrites loss and logits."""
        if not self._optimizer.recordable:
            return self._called(batch)
        self._optimizer.rate()  # updates the tensor that the graphs read
        drawn = draw_paths(self._network, batch, self._config)
        loss, logits = self._graphs.run([*batch, *([] if drawn is None else [drawn])])
        return loss, logits


def _step(called: Callable[..., tuple[Tensor, Tensor]], inputs: Sequence[Tensor]) -> Tensors:
    images, labels, *drawn = inputs
    return called(Batch(images, labels), drawn=drawn[0] if drawn else None)
