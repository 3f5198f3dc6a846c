"""Decides when a training step is recorded as CUDA graphs, when it is replayed, and when it is called."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, Generic, TypeVar

import torch
from torch import Tensor

from darts_core.kernels import gpu
from darts_core.training.stages import GRAPHS, stage

logger = logging.getLogger(__name__)

# Called steps before a recording, which compile and select kernels and create the momentum buffers.
WARM_UP: Final = 3

Result = TypeVar("Result", bound=tuple[Tensor, ...])

Replay = Callable[[], Result]
"""Runs a recorded step on the inputs that it was recorded with, whatever numbers they have by now."""


class StepGraph(ABC, Generic[Result]):
    """A step that is replayed for inputs of the shapes it was recorded with, and called otherwise.

    Inputs of other shapes begin anew, but fewer images, a pass's last batch, are called. If recording fails, logs a
    warning and calls all steps. A rank whose recording fails goes on with the others: graphs hold the all-reduces of a
    called step, in its order. No replay may hold the object itself: graphs are to go, with their memory, when it does.
    """

    name: str
    """In the log."""

    def __init__(self) -> None:
        self._shapes: list[torch.Size] = []
        self._places: list[Tensor] = []
        self._holds: Hashable = None
        self._seen = 0
        self._replay: Replay[Result] | None = None
        self._failed = False
        # A stream has memory of its own: one for all warm-up steps keeps a single step's.
        self._stream: torch.cuda.Stream | None = None

    @abstractmethod
    def _step(self, inputs: Sequence[Tensor]) -> Result:
        """Run one step."""

    @abstractmethod
    def _record(self, inputs: Sequence[Tensor]) -> Replay[Result]:
        """Record the step on these inputs. Raises RuntimeError where that is not possible."""

    def _held(self) -> Hashable:
        """Addresses and numbers that a recording holds; it is made anew when they change."""
        return None

    @property
    def recorded(self) -> bool:
        """Whether there is a recording."""
        return self._replay is not None

    @property
    def failed(self) -> bool:
        """Whether a recording has failed: all steps are called."""
        return self._failed

    def run(self, inputs: Sequence[Tensor]) -> Result:
        """Run one step. inputs: images first. The next call overwrites the result."""
        if self._failed:
            return self._step(inputs)
        shapes = [tensor.shape for tensor in inputs]
        if shapes != self._shapes:
            if self._replay is not None and len(inputs[0]) < self._shapes[0][0]:
                return self._step(inputs)
            self._forget(shapes)
        elif self._replay is not None and self._held() != self._holds:
            self._forget(shapes)
        if self._replay is None:
            if self._seen < WARM_UP:
                self._seen += 1
                return self._on_side_stream(inputs)
            with stage(GRAPHS):
                self._replay = self._recorded(inputs)
            if self._replay is None:
                self._failed, self._places = True, []
                return self._step(inputs)
        for place, tensor in zip(self._places, inputs, strict=True):
            place.copy_(tensor)
        return self._replay()

    def _forget(self, shapes: list[torch.Size]) -> None:
        self._shapes, self._seen, self._replay, self._places = shapes, 0, None, []

    def _on_side_stream(self, inputs: Sequence[Tensor]) -> Result:
        """Run the step on a side stream, as a capture does."""
        if not inputs[0].is_cuda:
            return self._step(inputs)
        stream = self._stream = self._stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(stream):
                result = self._step(inputs)
        finally:
            # Also after an error: what restores the state must not overtake the step.
            torch.cuda.current_stream().wait_stream(stream)
        for tensor in result:
            tensor.record_stream(torch.cuda.current_stream())
        return result

    def _recorded(self, inputs: Sequence[Tensor]) -> Replay[Result] | None:
        if not inputs[0].is_cuda:
            return self._tried(inputs)
        # Frees the warm-up's memory, which the graphs' own pool cannot use.
        torch.cuda.empty_cache()
        with torch.cuda.stream(torch.cuda.current_stream()):  # a capture that fails leaves its own stream current
            return self._tried(inputs)

    def _tried(self, inputs: Sequence[Tensor]) -> Replay[Result] | None:
        caught: tuple[type[Exception], ...] = (RuntimeError, *gpu.compile_errors())  # includes out of memory
        try:
            self._places, self._holds = [tensor.clone() for tensor in inputs], self._held()
            return self._record(self._places)
        except caught as error:
            logger.warning("no CUDA graph of %s, going on call by call: %s", self.name, str(error).split("\n")[0])
            return None


def captured(call: Callable[[], Result], pool: Any = None) -> tuple[Callable[[], None], Result]:
    """Record a call as a CUDA graph. Returns its replay, and the call's result, which each replay overwrites.

    pool: memory of graphs that never run at once; a replay of one may then overwrite the results of another.
    """
    graph = torch.cuda.CUDAGraph()
    # Lets other threads, which report and save checkpoints, use the GPU during the capture.
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        result = call()
    return graph.replay, result
