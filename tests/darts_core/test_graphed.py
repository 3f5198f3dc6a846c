"""The search step on a GPU gives the plain network's numbers, the same bits in graphs, and never waits for the GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core import run_evaluation, run_search
from darts_core.bilevel import graphed
from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD, FlatWeights
from darts_core.bilevel.graphed import GraphedStep
from darts_core.bilevel.step import search_step
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.data.batches import Batch
from darts_core.distributed import group as groups
from darts_core.distributed.batch_norm import synchronise
from darts_core.distributed.group import ALONE, Group
from darts_core.kernels import gpu
from darts_core.models.supernet import SearchNetwork
from darts_core.spaces import SPACES
from darts_core.training.determinism import deterministic_kernels
from darts_core.training.matmul_precision import tf32
from darts_core.training.step_graph import WARM_UP

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]
GPU = torch.device("cuda")
Precision = Literal["float32", "bf16"]
Steps = Callable[[Batch, Batch], tuple[Tensor, Tensor]]


@pytest.fixture(autouse=True)
def exact_products() -> Iterator[None]:
    with tf32(wanted=False):
        yield


@pytest.fixture(autouse=True)
def kernels() -> Iterator[None]:
    gpu.enable()
    yield
    gpu.disable()


def network_of(*, fused: bool, dtype: torch.dtype = torch.float32, channels: int = 8) -> SearchNetwork:
    torch.manual_seed(0)
    network = SearchNetwork(SPACES["darts"].primitives, channels=channels, layers=3, nodes=2, classes=3, fused=fused)
    for alpha in network.alphas.values():
        alpha.data = torch.randn_like(alpha)
    return network.to(GPU, dtype)


def batch_of(seed: int, count: int = 16, side: int = 16) -> Batch:
    source = torch.Generator().manual_seed(seed)
    return Batch(
        torch.randn(count, 3, side, side, generator=source).to(GPU),
        torch.randint(3, (count,), generator=source).to(GPU),
    )


def seen(network: SearchNetwork, batch: Batch, precision: Precision = "float32") -> dict[str, Tensor]:
    tensors = {**network.alphas, **dict(network.named_parameters())}
    with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16", cache_enabled=False):
        logits = network(batch.images.to(network.classifier.weight.dtype))
        loss = F.cross_entropy(logits, batch.labels)
        gradients = torch.autograd.grad(loss, list(tensors.values()), allow_unused=True, materialize_grads=True)
    found = {f"gradient of {name}": g for name, g in zip(tensors, gradients, strict=True)}
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    return {"logits": logits.detach(), **found, **buffers}


def errors(found: dict[str, Tensor], truth: dict[str, Tensor]) -> dict[str, float]:
    """Of the logits, the alphas' gradients, and all weights' gradients and statistics together, relative."""

    def of(part: str) -> float:
        names = [name for name in truth if part in name]
        # The mean of a normalised map is nothing but rounding: it is small beside the map's deviation.
        scales = [float(truth[name.replace("running_mean", "running_var")].double().norm()) or 1 for name in names]
        off = [float((found[name] - truth[name]).double().norm()) for name in names]
        return sum((error / scale) ** 2 for error, scale in zip(off, scales, strict=True))

    parts = ("logits", "gradient of normal", "gradient of reduce", "gradient of cells", "running_mean", "running_var")
    return {part: of(part) ** 0.5 for part in parts}


def test_in_float64_the_fused_network_gives_the_plain_ones_numbers() -> None:
    plain, fused = (seen(network_of(fused=fused, dtype=torch.float64), batch_of(1)) for fused in (False, True))
    for name, value in plain.items():
        scale = max(float(value.abs().max()), 1e-3)
        assert float((fused[name] - value).abs().max()) <= 1e-10 * scale, name


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_fused_network_is_no_farther_from_the_truth_than_twice_the_plain_one(precision: Precision) -> None:
    batch = batch_of(1, 32)
    truth = seen(network_of(fused=False, dtype=torch.float64), batch)
    plain, fused = (errors(seen(network_of(fused=fused), batch, precision), truth) for fused in (False, True))
    worse = {part: (fused[part], plain[part]) for part in plain if fused[part] > 2 * plain[part]}
    assert worse == {}


def stepping(
    order: Literal[1, 2], *, graph: bool, precision: Precision = "float32", group: Group = ALONE
) -> tuple[SearchNetwork, FlatSGD, Steps]:
    network = network_of(fused=True)
    synchronise(network, group)
    network.share_statistics_storage()
    optimizer = FlatSGD(FlatWeights(network), lr=0.025, momentum=0.9, weight_decay=3e-4)
    architect = Architect(network, optimizer, order=order, lr=3e-3, weight_decay=1e-3, group=group)
    recorded = GraphedStep(network, architect, optimizer, 5.0, group=group)

    def step(training: Batch, validation: Batch) -> tuple[Tensor, Tensor]:
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16", cache_enabled=False):
            if graph:
                return recorded(training, validation)
            return search_step(network, architect, optimizer, training, validation, 5.0, group)

    return network, optimizer, step


def after_steps(order: Literal[1, 2], *, graph: bool, precision: Precision, group: Group = ALONE) -> dict[str, Tensor]:
    network, optimizer, step = stepping(order, graph=graph, precision=precision, group=group)
    losses = []
    with deterministic_kernels(True, GPU):  # cuDNN's fastest ones add in any order
        for number in range(10):
            optimizer.param_groups[0]["lr"] = 0.025 if number < 7 else 0.01
            count = 6 if number in (5, 8) else 16  # as at a pass's end
            loss, logits = step(batch_of(2 * number, count), batch_of(2 * number + 1, count))
            losses += [loss.clone(), logits.sum()]
    return {**network.state_dict(), **network.alphas, "losses": torch.stack(losses)}


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("order", [1, 2])
def test_steps_replayed_from_a_graph_give_the_bits_of_steps_that_are_called(
    order: Literal[1, 2], precision: Precision
) -> None:
    called, replayed = (after_steps(order, graph=graph, precision=precision) for graph in (False, True))
    assert [name for name in called if not torch.equal(called[name], replayed[name])] == []


class Pair(Group):
    """NCCL's group of this process alone, taken for two ranks with the same images."""

    def total(self, tensor: Tensor) -> Tensor:
        """Twice the tensor."""
        return super().total(tensor).mul_(2)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    groups.join(0, 1, tmp_path / "store", torch.device("cuda", 0))
    yield Pair(0, 2)
    groups.leave()


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("order", [1, 2])
def test_graphs_hold_the_exchanges_of_several_ranks(order: Literal[1, 2], precision: Precision, pair: Pair) -> None:
    called, replayed = (after_steps(order, graph=graph, precision=precision, group=pair) for graph in (False, True))
    assert [name for name in called if not torch.equal(called[name], replayed[name])] == []
    _, _, step = stepping(order, graph=True, precision=precision, group=pair)
    exchanged = 0

    def counted(*_: object, **__: object) -> None:
        nonlocal exchanged
        exchanged += 1

    for number in range(WARM_UP + 1):
        step(batch_of(number), batch_of(number))
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(torch.distributed, "all_reduce", counted)
        step(batch_of(1), batch_of(2))
    assert exchanged == 0


def test_no_step_of_several_ranks_waits_for_the_gpu(pair: Pair) -> None:
    _, _, step = stepping(2, graph=False, group=pair)
    step(batch_of(1), batch_of(2))
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(batch_of(1), batch_of(2))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_ranks_with_the_same_images_take_the_step_of_one(precision: Precision, pair: Pair) -> None:
    """Both halves of a batch are alike, so statistics and gradients are those of one half."""
    half = batch_of(1)
    one, of_pair = network_of(fused=True), network_of(fused=True)
    synchronise(of_pair, pair)
    ours, truth = (seen(network, half, precision) for network in (of_pair, one))
    allowed = 1e-3 if precision == "float32" else 5e-2
    # A variance without bias depends on the number of pixels.
    worse = {part: error for part, error in errors(ours, truth).items() if error > allowed and part != "running_var"}
    assert worse == {}


def test_the_graph_is_made_and_used(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, step = stepping(1, graph=True)
    calls = 0

    def counted(*arguments: object, **options: object) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        return search_step(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(graphed, "search_step", counted)
    for number in range(8):
        step(batch_of(number), batch_of(number))
    assert calls == WARM_UP


def test_a_step_that_cannot_be_recorded_is_called_and_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, _, step = stepping(1, graph=True)

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    with caplog.at_level(logging.WARNING):
        for number in range(6):
            loss, _ = step(batch_of(number), batch_of(number))
    assert torch.isfinite(loss)
    assert [record.getMessage() for record in caplog.records] == [
        "no CUDA graph of the search step, going on call by call: operation not permitted when stream is capturing"
    ]


@pytest.mark.parametrize("order", [1, 2])
def test_no_step_waits_for_the_gpu(order: Literal[1, 2]) -> None:
    _, _, step = stepping(order, graph=False)
    training, validation = batch_of(1), batch_of(2)
    step(training, validation)
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(training, validation)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("changes", [{"order": 1}, {"order": 2}, {"order": 1, "precision": "bf16"}], ids=str)
def test_a_search_resumed_across_graphs_ends_with_the_same_bits(
    changes: dict[str, object], search_config: Callable[..., SearchConfig], data_root: Path
) -> None:
    changes = {"precision": "float32", "deterministic": True, "primitives": None, "space": "darts", **changes}
    with_graph, without = (search_config(**changes, cuda_graph=wanted) for wanted in (True, False))
    undisturbed = list(run_search(with_graph, data_root=data_root, device=GPU))
    first = next(run_search(without, data_root=data_root, device=GPU))
    resumed = list(run_search(with_graph, data_root=data_root, device=GPU, resume_from=first.checkpoint))
    again = list(run_search(without, data_root=data_root, device=GPU, resume_from=resumed[0].checkpoint))
    for reports in (resumed, again):
        for part in ("weights", "alphas"):
            ours, theirs = reports[-1].checkpoint[part], undisturbed[-1].checkpoint[part]
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs), part


@pytest.mark.parametrize(
    "changes", [{"method": "beta-darts"}, {"method": "darts-minus"}, {"weights_only_epochs": 2}], ids=str
)
def test_a_recorded_step_follows_the_schedule_of_the_epochs(
    changes: dict[str, object], search_config: Callable[..., SearchConfig], data_root: Path
) -> None:
    changes = {"precision": "float32", "deterministic": True, "epochs": 4, "batch_size": 2, **changes}
    recorded, called = (
        list(run_search(search_config(**changes, cuda_graph=wanted), data_root=data_root, device=GPU))
        for wanted in (True, False)
    )
    for ours, theirs in zip(recorded, called, strict=True):
        assert ours.alphas is not None
        assert theirs.alphas is not None
        assert all(torch.equal(ours.alphas[name], theirs.alphas[name]) for name in theirs.alphas)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_searches_and_evaluations_train_on_a_gpu(
    precision: Precision,
    search_config: Callable[..., SearchConfig],
    evaluation_config: Callable[..., EvaluationConfig],
    data_root: Path,
) -> None:
    searched = list(run_search(search_config(precision=precision), data_root=data_root, device=GPU))
    evaluated = list(run_evaluation(evaluation_config(precision=precision), data_root=data_root, device=GPU))
    assert searched[-1].checkpoint["environment"]["device"] == torch.cuda.get_device_name()
    assert len(evaluated) == 3
