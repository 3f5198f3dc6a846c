"""Measures where the time of a training step goes: operations or kernels, gaps, and the bound of the hardware."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity
from torch.profiler import profile as recording

from darts_core.configs import EvaluationConfig, RnnEvaluationConfig
from darts_core.errors import DataError
from darts_core.profile.timeline import Event, Operation, Timeline, timeline
from darts_core.training.determinism import repeatable
from darts_core.training.precision import computing, precision_of, type_of
from darts_core.training.step_graph import WARM_UP

_TIMED: Final = 5
_RECORDED: Final = 2
# A forward pass, and backward passes to maps and to weights.
_PASSES: Final = 3
# Sides of the square product, and bytes of the copy, that measure the device's speed.
_SIDES: Final = {"cpu": 2048, "cuda": 8192}
_COPIED: Final = {"cpu": 2**27, "cuda": 2**29}

Config = EvaluationConfig | RnnEvaluationConfig


@dataclass(frozen=True)
class TrainingStep:
    """A training step to be timed.

    take: runs it. in_graph: whether a GPU runs it in a CUDA graph by now. multiply_adds: of its forward pass.
    kept_bytes: of what the forward pass keeps for the backward pass, in float32.
    """

    take: Callable[[], object]
    in_graph: Callable[[], bool]
    multiply_adds: int
    kept_bytes: int


@dataclass(frozen=True)
class StepTime:
    """The time of a training step, in milliseconds.

    step: the median without a profiler. recorded: one with it, of which the device was `busy`, in so many `calls` of
    operations (CPU) or kernels (GPU). bound: the least time at the measured speed of products or of memory, whichever
    is longer. graph: whether a GPU took the steps in a CUDA graph.
    """

    device: str
    precision: str
    batch: int
    graph: bool
    step: float
    recorded: float
    busy: float
    calls: int
    bound: float
    bound_by: Literal["products", "memory"]
    operations: tuple[Operation, ...]

    @property
    def gaps(self) -> float:
        """Time of the recorded step in which nothing ran: Python, torch's dispatch, a CPU that launches too slowly."""
        return max(0.0, self.recorded - self.busy)

    @property
    def bound_share(self) -> float:
        """The bound's share of the step: 1 is as fast as the hardware allows."""
        return self.bound / self.step

    def figures(self) -> dict[str, Any]:
        """All figures as plain values."""
        return {**asdict(self), "gaps": self.gaps, "bound_share": self.bound_share}


def step_time(config: Config, prepare: Callable[[], TrainingStep], device: torch.device) -> StepTime:
    """Time the training step of a resolved spec. Raises DataError when there is no such device.

    prepare: called with the threads and the precision of the spec.
    """
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DataError("torch finds no CUDA device here: use --device cpu")
    with repeatable(config, device), computing(config, device):
        step = prepare()
        for _ in range(WARM_UP + 1):
            step.take()
        taken = [_milliseconds(step.take, device) for _ in range(_TIMED)]
        found, recorded = _recorded(step.take, device)
        bound, bound_by = _bound(config, step, device)
    return StepTime(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        precision=precision_of(config, device),
        batch=config.batch_size,
        graph=step.in_graph(),
        step=statistics.median(taken),
        recorded=recorded,
        busy=found.busy / _RECORDED,
        calls=found.calls // _RECORDED,
        bound=bound,
        bound_by=bound_by,
        operations=tuple(
            replace(operation, calls=operation.calls // _RECORDED, milliseconds=operation.milliseconds / _RECORDED)
            for operation in found.operations
        ),
    )


def _recorded(step: Callable[[], object], device: torch.device) -> tuple[Timeline, float]:
    """What the device did in the recorded steps, and the milliseconds of one of them."""
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with recording(activities=activities) as profiler:
        took = _milliseconds(lambda: [step() for _ in range(_RECORDED)], device)
    assert profiler.profiler is not None
    # The raw events: `key_averages` builds a tree of Python objects first, which takes minutes.
    events = [
        Event(event.name(), event.start_ns(), event.start_ns() + event.duration_ns())
        for event in profiler.profiler.kineto_results.events()
        if (event.device_type().name == "CUDA") == on_gpu
        and not event.is_user_annotation()
        and (on_gpu or _is_operation(event.name()))
    ]
    return timeline(events), took / _RECORDED


def _is_operation(name: str) -> bool:
    """Whether an event of the CPU is an operation, not a part of autograd's engine around it."""
    return "::" in name and not name.startswith(("autograd::", "torch::"))


def _bound(config: Config, step: TrainingStep, device: torch.device) -> tuple[float, Literal["products", "memory"]]:
    """The least milliseconds of a step.

    Products: three passes through all matrices, at the speed of a large square product. Memory: what the backward pass
    needs is written once and read once, at the speed of a large copy.
    """
    kind = "cuda" if device.type == "cuda" else "cpu"
    dtype = torch.bfloat16 if precision_of(config, device) == "bf16" else type_of(config)
    a, b = torch.randn(2, _SIDES[kind], _SIDES[kind], device=device, dtype=dtype)
    out = torch.empty_like(a)
    of_product = _fastest(lambda: torch.mm(a, b, out=out), device) / (2 * _SIDES[kind] ** 3)
    source = torch.ones(_COPIED[kind] // 4, device=device)
    target = torch.ones_like(source)
    of_byte = _fastest(lambda: target.copy_(source), device) / (2 * _COPIED[kind])
    products = 2 * _PASSES * step.multiply_adds * of_product
    memory = 2 * step.kept_bytes * dtype.itemsize / 4 * of_byte
    return (products, "products") if products > memory else (memory, "memory")


def _fastest(call: Callable[[], Tensor], device: torch.device) -> float:
    return min(_milliseconds(call, device) for _ in range(4))


def _milliseconds(call: Callable[[], object], device: torch.device) -> float:
    """Of one call, until the device has done its work."""
    wait: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    began = time.perf_counter()
    call()
    wait()
    return 1000 * (time.perf_counter() - began)
