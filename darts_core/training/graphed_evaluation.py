"""Runs the retraining step as one CUDA graph: both passes, clipping and SGD."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from darts_core.configs import EvaluationConfig
from darts_core.data.batches import Batch
from darts_core.distributed.group import ALONE, Group
from darts_core.models.retrained import RetrainedNetwork
from darts_core.training.evaluation_step import draw_paths, evaluation_step
from darts_core.training.fused_sgd import FusedSGD
from darts_core.training.step_graph import Replay, StepGraph, captured

StepResult = tuple[Tensor, Tensor]
Capture = Callable[[Callable[[], StepResult]], tuple[Callable[[], None], StepResult]]
"""Records a call; returns its replay and its result: see `captured`."""


class GraphedEvaluation(StepGraph[StepResult]):
    """Runs `evaluation_step` as a CUDA graph for batches of one size, and eagerly for others, to the same bits.

    Learning rate and drop-path's probability are tensors that the graph reads. The numbers by which paths are dropped
    are drawn before the replay: a recording that fails leaves the generator as it was. Without drop-path, in the first
    epoch, the graph is another one. For a network without noise.
    """

    name = "the training step"

    def __init__(
        self,
        network: RetrainedNetwork,
        optimizer: FusedSGD,
        config: EvaluationConfig,
        group: Group = ALONE,
        *,
        capture: Capture = captured,
    ) -> None:
        super().__init__()
        self._network, self._optimizer, self._config, self._group = network, optimizer, config, group
        self._capture = capture

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Run one step; returns like `evaluation_step`. The next call overwrites loss and logits."""
        if not self._optimizer.recordable:
            return evaluation_step(self._network, self._optimizer, batch, self._config, self._group)
        self._optimizer.rate()  # updates the tensor that the graph reads
        drawn = draw_paths(self._network, batch, self._config)
        return self.run([*batch, *([] if drawn is None else [drawn])])

    def _step(self, inputs: Sequence[Tensor]) -> StepResult:
        images, labels, *drawn = inputs
        batch = Batch(images, labels)
        return evaluation_step(self._network, self._optimizer, batch, self._config, self._group, *drawn)

    def _record(self, inputs: Sequence[Tensor]) -> Replay[StepResult]:
        replay, result = self._capture(lambda: self._step(inputs))

        def replayed() -> StepResult:
            replay()
            return result

        return replayed
