"""The memory that a run needs: refused before it starts, explained when it was not foreseen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from darts_core import run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.distributed.group import Group
from darts_core.errors import OutOfMemory
from darts_core.profile import Shape
from darts_core.training.memory import check_fits, explained, free_memory, holds_graph, need_of

MakeEvaluation = Callable[..., EvaluationConfig]
CPU = torch.device("cpu")
GPU = torch.device("cuda")  # of which the estimates ask nothing
SHAPE = Shape(16, 8, 10, 32)
GIB = 2**30


def _check(config: SearchConfig | EvaluationConfig, free: int, *, ranks: int = 1) -> None:
    _check_on(CPU, config, free, ranks=ranks)


def _check_on(
    device: torch.device, config: SearchConfig | EvaluationConfig, free: int, *, ranks: int = 1, images: int = 50_000
) -> None:
    options: dict[str, Any] = {"size": (32, 32), "image_channels": 3, "classes": 10, "stem": "cifar"}
    check_fits(config, device, **options, images=images, group=Group(0, ranks), free=free)


def _evaluation(**changes: int) -> EvaluationConfig:
    return EvaluationConfig(dataset="cifar10", genotype="DARTS_V2", **changes).resolved()


def _search(**changes: Any) -> SearchConfig:
    return SearchConfig(dataset="cifar10", **changes).resolved()


@pytest.mark.parametrize("make", [_evaluation, _search])
@pytest.mark.parametrize("ranks", [1, 2])
def test_the_batch_that_a_refusal_offers_fits_and_so_do_the_parts(
    make: Callable[..., EvaluationConfig | SearchConfig], ranks: int
) -> None:
    with pytest.raises(OutOfMemory) as refused:
        _check(make(), 3 * GIB // 2, ranks=ranks)
    batch, parts = map(int, re.findall(r"(?:batch_size|accumulate)=(\d+)", str(refused.value)))
    _check(make(batch_size=batch), 3 * GIB // 2, ranks=ranks)
    _check(make(accumulate=parts), 3 * GIB // 2, ranks=ranks)
    with pytest.raises(OutOfMemory):
        _check(make(batch_size=batch + 4 * ranks), 3 * GIB // 2, ranks=ranks)


def test_a_refusal_names_the_need_and_the_free_memory() -> None:
    with pytest.raises(OutOfMemory, match=r"batch_size 96 needs about \d+\.\d GiB on cpu, which has 2\.0 GiB free"):
        _check(_evaluation(), 2 * GIB)


def test_a_network_that_no_batch_makes_fit_is_told_so() -> None:
    with pytest.raises(OutOfMemory, match="no batch would fit: use fewer channels or layers"):
        _check(_evaluation(), GIB // 8)


def test_a_run_that_fits_is_not_refused() -> None:
    _check(_evaluation(batch_size=8, channels=8, layers=5), 2 * GIB)


def test_bf16_needs_less_and_the_second_order_more() -> None:
    shape = Shape(16, 8, 10, 32)
    first, second = (need_of(_search(order=order, fused=False), shape, CPU) for order in (1, 2))
    assert second.of(64) > first.of(64)
    rounded = SearchConfig(dataset="cifar10", precision="bf16").resolved()
    assert need_of(rounded, shape, CPU).of(64) < 0.6 * first.of(64)


def test_the_fused_arrangement_of_a_search_needs_less_than_half() -> None:
    shape = Shape(16, 8, 10, 32)
    plain, fused = (need_of(_search(fused=fused), shape, CPU) for fused in (False, True))
    assert fused.of(64) < 0.5 * plain.of(64)


def _on_gpu(**changes: Any) -> SearchConfig:
    return _search(**{"precision": "float32", **changes})


def test_the_kernels_for_gpus_hold_more_of_a_cell_whose_inputs_they_join() -> None:
    """0.94 MiB an image, counted by the storages that are alive in a step whose kernels are stubbed."""
    joined, apart = (need_of(_on_gpu(cuda_graph=False), SHAPE, device) for device in (GPU, CPU))
    assert joined.per_image - 1.15 / 1.4 * apart.per_image == pytest.approx(0.94 * 2**20, rel=0.1)


def test_a_cuda_graph_keeps_a_step_beside_the_last_batch_of_a_pass() -> None:
    with_graph, without = (need_of(_on_gpu(cuda_graph=wanted), SHAPE, GPU) for wanted in (True, False))
    assert with_graph.of(64, 40) == without.of(64) + 40 * without.per_image + with_graph.measuring
    assert with_graph.of(64, 0) == without.of(64) + 2 * with_graph.measuring


def _refused(config: SearchConfig, free: int, images: int) -> bool:
    try:
        _check_on(GPU, config, free, images=images)
    except OutOfMemory:
        return True
    return False


@pytest.mark.parametrize(
    ("portion", "images", "called"),
    [
        (0.5, 50_000, 40),  # 25,000 of each: 390 batches and 40 images
        (0.5, 12_800, 0),  # 100 batches of each
        (0.4, 50_000, 64),  # a batch of the weights' and the rest of the alphas'
    ],
)
def test_a_refusal_knows_the_largest_step_that_no_graph_launches(portion: float, images: int, called: int) -> None:
    config = _on_gpu(train_portion=portion)
    need = need_of(config, SHAPE, GPU).of(64, called)
    assert not _refused(config, need, images)
    assert _refused(config, need - 1, images)


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_batch_that_a_refusal_offers_fits_with_any_last_batch(ranks: int) -> None:
    free = 5 * GIB // 2
    with pytest.raises(OutOfMemory) as refused:
        _check_on(GPU, _on_gpu(), free, ranks=ranks)
    (batch,) = map(int, re.findall(r"batch_size=(\d+)", str(refused.value)))
    for images in (50_000, 2 * (4 * batch - 1)):
        _check_on(GPU, _on_gpu(batch_size=batch), free, ranks=ranks, images=images)


def test_several_gpus_need_their_share_of_the_batch_and_what_they_exchange() -> None:
    alone, shared = (need_of(_on_gpu(), SHAPE, GPU, Group(0, ranks)) for ranks in (1, 2))
    assert shared.per_image == alone.per_image, "they compute fused, as one does"
    assert shared.fixed > alone.fixed


def test_a_search_that_computes_one_operation_an_edge_keeps_one() -> None:
    sampled, plain = (need_of(_search(method=method, fused=False), SHAPE, CPU) for method in ("gdas", "darts"))
    assert sampled.of(64) < 0.5 * plain.of(64)


def test_a_run_is_refused_before_its_network_is_built(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    config = evaluation_config(dataset="folder:tiny32", channels=1024, layers=100, batch_size=4)
    with pytest.raises(OutOfMemory, match="no batch would fit"):
        run_evaluation(config, data_root=data_root, device=CPU)


def test_a_search_too_large_is_refused_too(data_root: Path) -> None:
    config = SearchConfig(dataset="folder:tiny32", channels=1024, layers=100, batch_size=4).resolved()
    with pytest.raises(OutOfMemory, match="no batch would fit"):
        run_search(config, data_root=data_root, device=CPU)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
    ],
)
def test_running_out_after_all_is_told_with_the_batch_size_that_was_used(error: Exception) -> None:
    message = r"out of memory with batch_size 96 in 2 parts: .*accumulate=4"
    with pytest.raises(OutOfMemory, match=message), explained(_evaluation(accumulate=2)):
        raise error


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), explained(_evaluation()):
        raise RuntimeError("shapes differ")


def test_free_memory_is_read_from_the_machine() -> None:
    free = free_memory(CPU)
    assert free is None or free > 0


def test_graphs_of_evaluation_passes_need_theirs_where_the_steps_are_smaller() -> None:
    config = _evaluation(batch_size=2)
    sizes: dict[str, Any] = {"size": (32, 32), "image_channels": 3, "classes": 10, "stem": "cifar"}
    need = need_of(config, Shape(config.channels, config.layers, 10, 32), CPU)
    assert need.measuring > 2 * need.per_image
    assert not holds_graph(config, CPU, **sizes, free=need.of(2) + need.measuring - 1)
    assert holds_graph(config, CPU, **sizes, free=need.of(2) + need.measuring)


@pytest.mark.parametrize("make", [_evaluation, _search])
def test_a_recorded_step_wants_the_memory_of_another_beside_it(
    make: Callable[..., EvaluationConfig | SearchConfig],
) -> None:
    config = make(batch_size=64)
    sizes: dict[str, Any] = {"size": (32, 32), "image_channels": 3, "classes": 10, "stem": "cifar"}
    need = need_of(config, Shape(config.channels, config.layers, 10, 32), CPU)
    called = need.of(64)
    assert not holds_graph(config, CPU, **sizes, free=called + 63 * need.per_image)
    assert holds_graph(config, CPU, **sizes, free=called + 64 * need.per_image)
    # Two ranks have half the images each.
    assert holds_graph(config, CPU, **sizes, ranks=2, free=called)
