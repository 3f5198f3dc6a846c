"""Compiles the cells of a retrained network, as its spec's `compile_cells` asks for."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from torch import Tensor

from darts_core.configs import EvaluationConfig
from darts_core.data.batches import Batch
from darts_core.errors import ConfigError, Problem
from darts_core.models.retrained import RetrainedNetwork
from darts_core.training.stages import CELLS, stage

Step = Callable[[Batch], tuple[Tensor, Tensor]]


def compiling(network: RetrainedNetwork, config: EvaluationConfig, step: Step) -> Step:
    """The step, in which the network's cells are compiled the first time, and again once paths are dropped.

    A batch of another size than the spec's, a pass's last one, is called. The step raises ConfigError where torch
    cannot compile, as without a C++ compiler: a run that went on called would have other numbers.
    """
    from torch._dynamo.exc import TorchDynamoException  # slow to import

    network.compile_cells(ceil(config.batch_size / config.accumulate))
    compiled: set[tuple[int, bool]] = set()

    def compiled_step(batch: Batch) -> tuple[Tensor, Tensor]:
        kind = len(batch.labels), network.drops_paths
        if kind in compiled:
            return step(batch)
        with stage(CELLS):
            try:
                result = step(batch)
            except TorchDynamoException as error:
                reason = str(error).split("\n")[0]
                raise ConfigError(
                    [Problem(("compile_cells",), f"torch cannot compile here ({reason}): leave it out")]
                ) from error
        compiled.add(kind)
        return result

    return compiled_step
