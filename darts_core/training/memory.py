"""Checks before a run that it fits into its device's memory, and explains the error when memory runs out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from darts_core.configs import AnyConfig, EvaluationConfig, SearchConfig
from darts_core.configs.methods import METHODS
from darts_core.configs.stages import Stage, stages_of
from darts_core.distributed.group import ALONE, Group
from darts_core.errors import OutOfMemory
from darts_core.genotypes import NasBench201Genotype
from darts_core.genotypes.model import CNN_CELLS
from darts_core.methods.registry import IMPLEMENTATIONS
from darts_core.models.layout import Stem, reduction_layers
from darts_core.profile import Shape, nasbench201_search_cost, profile, search_cost
from darts_core.profile.costs import Cost
from darts_core.profile.memory import Kind, MemoryNeed, memory_need
from darts_core.profile.search import costliest
from darts_core.spaces.nasbench201 import NAME as NASBENCH201
from darts_core.training.arrangement import arrangement_of
from darts_core.training.metrics import MEASURING_BATCH
from darts_core.training.precision import precision_of, type_of

# A cell of NAS-Bench-201 puts out one map, but holds those of its nodes.
_NASBENCH201_MAPS: Final = 2
_WAYS_OUT = "fewer channels or layers, or a larger device"


def need_of(
    config: SearchConfig | EvaluationConfig, shape: Shape, device: torch.device, group: Group = ALONE
) -> MemoryNeed:
    """Estimate the memory that the run's network needs on this device: see `darts_core.profile.memory`.

    group: the ranks that share each batch; a collective call.
    """
    half, weight_bytes = precision_of(config, device) == "bf16", type_of(config).itemsize
    if isinstance(config, SearchConfig):
        arrangement = arrangement_of(config, device, group)
        fused = arrangement.not_fused is None and config.space != NASBENCH201
        graph = device.type == "cuda" and arrangement.fused and arrangement.no_graph is None
        stages = stages_of(dict(config))
        nodes = _NASBENCH201_MAPS if config.space == NASBENCH201 else config.nodes
        costs = [largest_cost(config, shape, stage, fused=fused) for stage in stages]
        training_bytes = max(cost.training_bytes for cost in costs)
        parameters, order = max(cost.parameters for cost in costs), config.order
        # Kernels for GPUs compute a cell's two inputs as one source.
        joined = _joined(config, shape) if fused and device.type == "cuda" else 0
    else:
        cell = config.cell()
        found = profile(cell, shape)
        training_bytes, parameters, order = found.training_bytes, found.parameters_with_auxiliary, 1
        fused, graph, joined = False, False, 0
        if isinstance(cell, NasBench201Genotype):
            nodes = _NASBENCH201_MAPS
        else:
            nodes = max(len(cell.built(kind).concat) for kind in CNN_CELLS)
    kind: Kind = "cuda" if device.type == "cuda" else "cpu"
    return memory_need(
        training_bytes=training_bytes,
        largest_map=_largest_map(shape, nodes),
        joined=joined,
        parameters=parameters,
        measured_images=MEASURING_BATCH,
        kind=kind,
        order=order,
        # To second order nothing is computed in bf16; the larger of both steps counts.
        activation_bytes=2 if half and order == 1 else weight_bytes,
        weight_bytes=weight_bytes,
        fused=fused,
        graph=graph,
        ranks=group.size,
    )


def largest_cost(config: SearchConfig, shape: Shape, stage: Stage, *, fused: bool) -> Cost:
    """The largest cost that the network of a stage can have, whichever operations its edges keep."""
    primitives: Sequence[str] = config.primitives or ()
    lists = config.lists
    shape = replace(shape, layers=stage.layers)
    operations = stage.operations
    if not fused and IMPLEMENTATIONS[config.method].samples_one:
        operations = 1
    if operations is not None:
        primitives = costliest(primitives, operations)
        lists = {kind: [costliest(names, operations) for names in rows] for kind, rows in lists.items()}
    if config.space == NASBENCH201:
        return nasbench201_search_cost(primitives, shape, partial=stage.partial)
    return search_cost(
        primitives, config.nodes, shape, fused=fused, partial=stage.partial, lists=lists, outputs=config.outputs
    )


def check_fits(
    config: SearchConfig | EvaluationConfig,
    device: torch.device,
    *,
    size: tuple[int, int],
    image_channels: int,
    classes: int,
    stem: Stem,
    images: int,
    group: Group = ALONE,
    free: int | None = None,
) -> None:
    """Raises OutOfMemory, with the batch that would fit, when the run's estimated need is more than what is free.

    size: height and width of the images. images: number of training images. group: the ranks that share each batch; a
    collective call. free: bytes available to this process, by default as the device reports.
    """
    ranks = group.size
    if free is None:
        free = free_memory(device)
        if free is None:
            return
        if device.type == "cpu":
            free //= ranks  # they share one machine's memory
    need = need_of(config, _shape(config, size, image_channels, classes, stem), device, group)
    part, called = (_part(config, ranks, count) for count in (config.batch_size, _called(config, images)))
    needed = need.of(part, called)
    if needed <= free:
        return
    fitting = need.fitting(free)
    if fitting == 0:
        advice = f"no batch would fit: use {_WAYS_OUT}"
    else:
        batch = ranks * config.accumulate * fitting
        parts = -(-config.batch_size // (ranks * fitting))
        advice = f"batch_size={batch} would fit, or accumulate={parts}, or {_WAYS_OUT}"
    raise OutOfMemory(
        f"batch_size {config.batch_size}{_in_parts(config)} needs about {gib(needed)} on {device}, which has "
        f"{gib(free)} free; {advice}"
    )


def holds_graph(
    config: SearchConfig | EvaluationConfig,
    device: torch.device,
    *,
    size: tuple[int, int],
    image_channels: int,
    classes: int,
    stem: Stem,
    ranks: int = 1,
    free: int | None = None,
) -> bool:
    """Whether the memory of the graphs, which nothing else can use, fits beside that of a called step.

    The graphs of steps and evaluation passes share it. Steps are called before they are recorded. ranks: devices that
    share each batch. The other arguments are those of `check_fits`. For trainings of which `need_of` counts no graph.
    """
    free = free_memory(device) if free is None else free
    need = need_of(config, _shape(config, size, image_channels, classes, stem), device)
    part = _part(config, ranks, config.batch_size)
    return free is None or need.of(part) + max(part * need.per_image, need.measuring) <= free


def _shape(
    config: SearchConfig | EvaluationConfig, size: tuple[int, int], image_channels: int, classes: int, stem: Stem
) -> Shape:
    height, width = size
    reductions = None if config.reductions is None else tuple(config.reductions)
    return Shape(
        config.channels, config.layers, classes, height, image_channels, stem, width, reductions, config.edge_skips
    )


def _part(config: SearchConfig | EvaluationConfig, ranks: int, batch: int) -> int:
    """Images of a batch that a rank computes at once."""
    return -(-batch // (ranks * config.accumulate))


def _called(config: SearchConfig | EvaluationConfig, images: int) -> int:
    """The most images of a batch in steps that a CUDA graph does not launch: those on batches of unequal sizes, and the
    last ones of a pass.
    """
    weights, alphas = config.split_sizes(images)
    rests = weights % config.batch_size, alphas % config.batch_size
    one_feed = isinstance(config, SearchConfig) and METHODS[config.method].levels == "one"
    if weights == alphas or one_feed:
        return rests[0]
    return config.batch_size if any(rests) else 0


def free_memory(device: torch.device) -> int | None:
    """Bytes that this process can still get there; None where it is unknown."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        return min(available, _left_in_container(available))
    return None


@contextlib.contextmanager
def explained(config: AnyConfig) -> Iterator[None]:
    """Raises OutOfMemory, with the batch size, for out-of-memory errors of the device while the context is open."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _explanation(config, error) from error
    except RuntimeError as error:
        if "not enough memory" not in str(error):  # how torch says it of the CPU
            raise
        raise _explanation(config, error) from error


def _explanation(config: AnyConfig, error: Exception) -> OutOfMemory:
    if isinstance(config, SearchConfig | EvaluationConfig):
        batch, ways_out = (
            f"{config.batch_size}{_in_parts(config)}",
            f"accumulate={2 * config.accumulate}, or {_WAYS_OUT}",
        )
    else:
        batch, ways_out = str(config.batch_size), "a smaller hidden_size or bptt, or a larger device"
    return OutOfMemory(f"out of memory with batch_size {batch}: use a smaller one, {ways_out} ({error})")


def _in_parts(config: SearchConfig | EvaluationConfig) -> str:
    return f" in {config.accumulate} parts" if config.accumulate > 1 else ""


def _largest_map(shape: Shape, nodes: int) -> int:
    """Numbers in a first cell's output: those behind it halve the size and double the channels."""
    halvings = {"cifar": 1, "half": 2, "imagenet": 8}[shape.stem]
    height, width = -(-shape.image // halvings), -(-(shape.width or shape.image) // halvings)
    return nodes * shape.channels * height * width


def _joined(config: SearchConfig, shape: Shape) -> int:
    """Elements of an image's maps that a last cell holds of its second input while the gradient passes the first.

    Of each filter's input and output the gradients; the maps of the cells in front are still kept then.
    """
    filters = {"sep_conv": 6, "dil_conv": 2}
    of_edge = sum(filters.get(name[:8], 0) for name in config.primitives or ())
    halvings = len(reduction_layers(shape.layers, shape.reductions))
    return of_edge * _largest_map(shape, config.nodes) >> halvings


def _left_in_container(otherwise: int) -> int:
    """What its control group leaves this process, if there is a limit."""
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError, KeyError):
        used = int((group / "memory.current").read_text())
        parts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # What files left behind is given back on demand.
        return int((group / "memory.max").read_text()) - used + int(parts["inactive_file"])
    return otherwise


def gib(size: int) -> str:
    """The size as text, in GiB."""
    return f"{size / 2**30:.1f} GiB"
