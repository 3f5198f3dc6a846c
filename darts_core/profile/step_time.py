"""Measures where the time of a retraining step goes: operations or kernels, gaps, and the bound of the hardware."""

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

from darts_core.configs import EvaluationConfig
from darts_core.configs.evaluation import auxiliary_problems
from darts_core.data.batches import Batch
from darts_core.data.order import generator
from darts_core.errors import DataError
from darts_core.genotypes import ConvolutionalGenotype, to_json
from darts_core.models.build import build_evaluation_network
from darts_core.profile.evaluation import profile
from darts_core.profile.shapes import Shape
from darts_core.profile.timeline import Event, Operation, Timeline, timeline
from darts_core.training.determinism import repeatable
from darts_core.training.evaluation_step import evaluation_step, weight_optimizer
from darts_core.training.fused_sgd import FusedSGD
from darts_core.training.graphed_evaluation import GraphedEvaluation
from darts_core.training.precision import Precision, computing, precision_of, type_of
from darts_core.training.step_graph import WARM_UP

_TIMED: Final = 5
_RECORDED: Final = 2
# A forward pass, and backward passes to maps and to weights.
_PASSES: Final = 3
# Sides of the square product, and bytes of the copy, that measure the device's speed.
_SIDES: Final = {"cpu": 2048, "cuda": 8192}
_COPIED: Final = {"cpu": 2**27, "cuda": 2**29}

Step = Callable[[], object]


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


def profiled_config(
    genotype: ConvolutionalGenotype,
    preset: str,
    shape: Shape,
    *,
    batch_size: int | None = None,
    precision: Precision | None = None,
) -> EvaluationConfig:
    """The spec of a retraining of this shape, otherwise with the preset's values. Raises ConfigError."""
    given = {"batch_size": batch_size, "precision": precision, "reductions": shape.reductions}
    return EvaluationConfig(
        dataset="folder:random",
        preset=preset,
        genotype=to_json(genotype),
        channels=shape.channels,
        layers=shape.layers,
        stem=shape.stem,
        edge_skips=shape.edge_skips,
        **{name: value for name, value in given.items() if value is not None},
    ).resolved()


def step_time(config: EvaluationConfig, shape: Shape, device: torch.device) -> StepTime:
    """Time the retraining step of a resolved spec on random images of this shape.

    Learning rate and drop-path are those of the schedules' middle. Raises DataError when there is no such device.
    """
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DataError("torch finds no CUDA device here: use --device cpu")
    with repeatable(config, device), computing(config, device):
        step, in_graph = _step(config, shape, device)
        for _ in range(WARM_UP + 1):
            step()
        taken = [_milliseconds(step, device) for _ in range(_TIMED)]
        found, recorded = _recorded(step, device)
        bound, bound_by = _bound(config, shape, device)
    return StepTime(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        precision=precision_of(config, device),
        batch=config.batch_size,
        graph=in_graph(),
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


def _step(config: EvaluationConfig, shape: Shape, device: torch.device) -> tuple[Step, Callable[[], bool]]:
    """The step on one batch, and what tells whether it runs in a graph."""
    size = (shape.image, shape.width or shape.image)
    values = config.model_dump(include={"layers", "reductions"})
    if config.auxiliary and auxiliary_problems(values, shape.stem, config.dataset, size):
        config = config.model_copy(update={"auxiliary": False})
    network = build_evaluation_network(
        config, classes=shape.classes, image_channels=shape.image_channels, stem=shape.stem
    )
    network.to(device, type_of(config), memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train().set_drop_path(config.drop_path / 2, generator(config.seed, "drop-path", device=device))
    optimizer = weight_optimizer(network.parameters(), config, device)
    images = torch.randn(config.batch_size, shape.image_channels, *size, dtype=type_of(config)).to(device)
    batch = Batch(images, torch.randint(shape.classes, (config.batch_size,)).to(device))
    if device.type == "cuda" and config.cuda_graph and not network.has_noise and isinstance(optimizer, FusedSGD):
        graphed = GraphedEvaluation(network, optimizer, config)
        return lambda: graphed(batch), lambda: graphed.recorded
    if network.has_noise:
        network.set_noise(generator(config.seed, "noise", device=device))
    return lambda: evaluation_step(network, optimizer, batch, config), lambda: False


def _recorded(step: Step, device: torch.device) -> tuple[Timeline, float]:
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


def _bound(config: EvaluationConfig, shape: Shape, device: torch.device) -> tuple[float, Literal["products", "memory"]]:
    """The least milliseconds of a step.

    Products: three passes through the convolutions and the classifier, at the speed of a large square product. Memory:
    each map that the backward pass needs is written once and read once, at the speed of a large copy.
    """
    found, kind = profile(config.cell(), shape), "cuda" if device.type == "cuda" else "cpu"
    half = precision_of(config, device) == "bf16"
    dtype, images = torch.bfloat16 if half else type_of(config), config.batch_size
    a, b = torch.randn(2, _SIDES[kind], _SIDES[kind], device=device, dtype=dtype)
    out = torch.empty_like(a)
    of_product = _fastest(lambda: torch.mm(a, b, out=out), device) / (2 * _SIDES[kind] ** 3)
    source = torch.ones(_COPIED[kind] // 4, device=device)
    target = torch.ones_like(source)
    of_byte = _fastest(lambda: target.copy_(source), device) / (2 * _COPIED[kind])
    products = 2 * _PASSES * found.multiply_adds * images * of_product
    memory = 2 * found.training_bytes * dtype.itemsize / 4 * images * of_byte
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
