"""Runs a step as CUDA graphs, one for each combination of its inputs' shapes that has come up a few times."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from darts_core.training.step_graph import Replay, StepGraph, captured

Tensors = tuple[Tensor, ...]

Capture = Callable[[Callable[[], Tensors], Any], tuple[Callable[[], None], Tensors]]
"""Records a call in a pool of memory; returns its replay and its result: see `captured`."""


def memory_pool(device: torch.device) -> Any:
    """A pool of memory for graphs that never run at once; None on a device without graphs."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


class StepGraphs:
    """A step that is recorded for each combination of its inputs' shapes: see `StepGraph`.

    The graphs share their memory, as large as the largest needs. Once a recording has failed, or there are `most`,
    inputs of other shapes are called.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[Sequence[Tensor]], Tensors],
        pool: Any,
        *,
        held: Callable[[], Hashable] = lambda: None,
        most: int | None = None,
        capture: Capture = captured,
    ) -> None:
        """name: in the log. pool: of `memory_pool`. held: see `StepGraph`.

        step: runs on the inputs. Neither it nor `held` may refer to the holder of this object, with which graphs go.
        """
        self._name, self._step, self._held = name, step, held
        self._pool, self._most, self._capture = pool, most, capture
        self._graphs: dict[tuple[torch.Size, ...], _OfShapes] = {}

    @property
    def recorded(self) -> bool:
        """Whether there is a recording for any shapes."""
        return any(graph.recorded for graph in self._graphs.values())

    def run(self, inputs: Sequence[Tensor]) -> Tensors:
        """Run the step. Any later call, also of other graphs in the pool, may overwrite the result."""
        shapes = tuple(tensor.shape for tensor in inputs)
        graph = self._graphs.get(shapes)
        if graph is None and self._most is not None and len(self._graphs) >= self._most:
            return self._step(inputs)
        failed = any(other.failed for other in self._graphs.values())
        if failed and (graph is None or not graph.recorded):
            return self._step(inputs)
        if graph is None:
            graph = self._graphs[shapes] = _OfShapes(self._name, self._step, self._pool, self._held, self._capture)
        return graph.run(inputs)


class _OfShapes(StepGraph[Tensors]):
    """The step on inputs of fixed shapes."""

    def __init__(
        self,
        name: str,
        step: Callable[[Sequence[Tensor]], Tensors],
        pool: Any,
        held: Callable[[], Hashable],
        capture: Capture,
    ) -> None:
        super().__init__()
        self.name = name
        self._run, self._pool, self._read, self._capture = step, pool, held, capture

    def _step(self, inputs: Sequence[Tensor]) -> Tensors:
        return self._run(inputs)

    def _record(self, inputs: Sequence[Tensor]) -> Replay[Tensors]:
        replay, result = self._capture(lambda: self._run(inputs), self._pool)

        def replayed() -> Tensors:
            replay()
            return result

        return replayed

    def _held(self) -> Hashable:
        return self._read()
