"""The fused search network against the plain one: same weights, same batch, same numbers."""

from __future__ import annotations

import copy
import math
import random
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD, FlatWeights
from darts_core.bilevel.step import search_step
from darts_core.configs import SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.data.batches import Batch
from darts_core.kernels import loader
from darts_core.methods.method import SearchMethod
from darts_core.methods.registry import method_of
from darts_core.models.fused import dispatch
from darts_core.models.fused.torch_backend import TorchBackend
from darts_core.models.supernet import SearchNetwork
from darts_core.primitives import edges_of
from darts_core.spaces import SPACES as NAMED
from darts_core.spaces.space import CELLS
from tests.support.rounding import assert_within, bounds, nudged

# Each set of operations once, under its first name.
_SETS = {space.primitives: space.name for space in reversed([*NAMED.values()]) if space.cells == CELLS}
SPACES: dict[str, Sequence[str]] = {
    **{name: primitives for primitives, name in _SETS.items()},
    "separable": ("sep_conv_5x5", "sep_conv_3x3", "none"),
    "wide": ("sep_conv_7x7", "skip_connect"),
    "dilated": ("dil_conv_5x5", "dil_conv_3x3"),
    "pools": ("avg_pool_3x3", "none", "max_pool_3x3"),
    "identity": ("none", "skip_connect"),
    "shuffled": ("dil_conv_3x3", "skip_connect", "max_pool_3x3", "sep_conv_5x5", "none"),
}


@pytest.fixture(params=["torch", "kernels"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In torch's own operations, and with the kernels where there are any."""
    if request.param == "torch":
        monkeypatch.setattr(loader, "available", lambda *_: False)
    elif not loader.available():
        pytest.skip("no compiler, no kernels")


def twins(primitives: Sequence[str] = NAMED["darts"].primitives, **options: Any) -> tuple[SearchNetwork, SearchNetwork]:
    """A plain and a fused network with the same weights and alphas, in float64 and training mode."""
    sizes = {"channels": 4, "layers": 3, "nodes": 2, "classes": 3, "image_channels": 2, **options}
    torch.manual_seed(0)
    plain = SearchNetwork(primitives, **sizes).double()
    fused = SearchNetwork(primitives, **sizes, fused=True).double()
    fused.load_state_dict(plain.state_dict())
    for alpha in plain.alphas.values():
        alpha.data = torch.randn_like(alpha)  # far from equal: a confused column would show
    fused.load_alphas(plain.alphas)
    return plain, fused


def batch_of(size: tuple[int, int] = (8, 8), count: int = 4, seed: int = 1) -> Batch:
    source = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 2, *size, generator=source, dtype=torch.float64)
    return Batch(images, torch.randint(3, (count,), generator=source))


def seen(network: SearchNetwork, batch: Batch) -> dict[str, Tensor]:
    # The same random numbers in each.
    network.method.begin_pass("weights")
    """Logits, gradients, and what the pass left in the running statistics."""
    logits = network(batch.images.to(network.classifier.weight.dtype))
    tensors = {**network.alphas, **dict(network.named_parameters())}
    gradients = torch.autograd.grad(
        F.cross_entropy(logits, batch.labels), list(tensors.values()), allow_unused=True, materialize_grads=True
    )
    found = {f"gradient of {name}": g for name, g in zip(tensors, gradients, strict=True)}
    return {"logits": logits.detach(), **found, **statistics_of(network)}


def statistics_of(network: SearchNetwork) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in network.named_buffers()}


def assert_same_numbers(fused: SearchNetwork, plain: SearchNetwork, batch: Batch) -> None:
    """The fused network's within rounding of the plain one's, whatever the processor's way to add."""
    begun = copy.deepcopy(plain)

    def again(draw: int) -> dict[str, Tensor]:
        network = copy.deepcopy(begun)
        images = batch.images.clone()
        nudged([images, *network.parameters(), *network.alphas.values()], draw)
        return seen(network, Batch(images, batch.labels))

    truth = seen(plain, batch)
    assert_within(seen(fused, batch), truth, widened(bounds(truth, again, terms_of(plain, batch)), truth))


def terms_of(network: SearchNetwork, batch: Batch) -> int:
    """Of the longest sum: over the pixels of all images in a statistic, or over what goes into a convolution."""
    return max(batch.images[:, 0].numel(), *(weight[0].numel() for weight in network.weights()))


def widened(allowed: dict[str, float], truth: dict[str, Tensor]) -> dict[str, float]:
    """The mean of a normalised map is nothing but rounding: what counts is the size of the map, its deviation."""
    ulp = torch.finfo(torch.float64).eps
    for name in (name for name in truth if name.endswith("running_mean")):
        deviation = truth[name.replace("running_mean", "running_var")].max().sqrt()
        allowed[name] += 100 * ulp * float(deviation)
    return allowed


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("training", [True, False])
def test_one_pass_gives_the_plain_networks_numbers_in_every_space(space: str, training: bool) -> None:
    plain, fused = twins(SPACES[space])
    for network in (plain, fused):
        statistics_drawn(network)
        network.train(training)
    assert_same_numbers(fused, plain, batch_of())


def statistics_drawn(network: SearchNetwork) -> None:
    """Other ones for each BatchNorm, as an imported network may have them."""
    source = torch.Generator().manual_seed(7)
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=source))


@pytest.mark.parametrize("space", ["darts", "separable", "dilated"])
@pytest.mark.parametrize("training", [True, False])
def test_the_form_for_gpus_without_kernels_gives_the_plain_networks_numbers(
    space: str, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_backend_for", lambda *_: TorchBackend())
    plain, fused = twins(SPACES[space])
    for network in (plain, fused):
        statistics_drawn(network)
        network.train(training)
    assert_same_numbers(fused, plain, batch_of((7, 8)))


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("nodes", [1, 4, 8])
def test_any_number_of_nodes_gives_the_plain_networks_numbers(nodes: int) -> None:
    # With fewer channels one may be all but constant, and its BatchNorm makes much of the last bit.
    plain, fused = twins(nodes=nodes, channels=4)
    assert_same_numbers(fused, plain, batch_of())


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(("size", "count"), [((7, 5), 3), ((13, 9), 2), ((6, 17), 3), ((33, 3), 2), ((2, 3), 4)])
@pytest.mark.parametrize("stem", ["cifar", "half"])
def test_odd_images_and_batches_give_the_plain_networks_numbers(
    size: tuple[int, int], count: int, stem: Literal["cifar", "half"]
) -> None:
    plain, fused = twins(stem=stem)
    batch = batch_of(size, count)
    if stem == "half" and count * size[0] * size[1] < 64:
        plain.eval()
        fused.eval()  # a single pixel is left, which has no variance
    assert_same_numbers(fused, plain, batch)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("channels", [2, 3, 6, 7, 10, 18])
def test_channels_that_fill_no_vector_give_the_plain_networks_numbers(channels: int) -> None:
    plain, fused = twins(channels=channels)
    assert_same_numbers(fused, plain, batch_of((9, 8)))


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("edge_skips", [False, True])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
def test_cells_of_the_bench_suite_give_the_plain_networks_numbers(
    edge_skips: bool, training: bool, layers: int
) -> None:
    plain, fused = twins(channels=7, layers=layers, nodes=8, outputs=4, edge_skips=edge_skips)
    for network in (plain, fused):
        statistics_drawn(network)
        network.train(training)
    assert len(list(fused.grouped_weights())) > 0
    assert_same_numbers(fused, plain, batch_of())


@pytest.mark.skipif("not loader.available()", reason="no compiler, no kernels")
@pytest.mark.parametrize("channels", [8, 16, 24, 32])
@pytest.mark.parametrize("size", [(8, 8), (5, 13), (17, 16)])  # on both sides of where the kernels change their form
@pytest.mark.parametrize("space", ["darts", "wide"])
def test_channels_that_fill_vectors_give_the_plain_networks_numbers(
    space: str, channels: int, size: tuple[int, int]
) -> None:
    plain, fused = twins(SPACES[space], channels=channels, layers=1, reductions=())
    assert_same_numbers(fused, plain, batch_of(size))


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("reductions", [(), (0,), (0, 1, 2)])
def test_cells_that_reduce_anywhere_give_the_plain_networks_numbers(reductions: tuple[int, ...]) -> None:
    plain, fused = twins(reductions=reductions)
    assert_same_numbers(fused, plain, batch_of((16, 15)))


WITH_NOISE = ("noise", *NAMED["darts"].primitives)


def method_of_lists(nodes: int, *, method: MethodName = "darts", noise: bool = False, **values: Any) -> SearchMethod:
    """A search method whose edges have different operations."""
    generator = random.Random(7)
    own = [name for name in NAMED["darts"].primitives if name != "none"]
    lists = {
        kind: [
            [
                *(["noise"] if noise and generator.random() < 0.7 else []),
                *generator.sample(own, generator.choice([1, 2, 4])),
            ]
            for _ in range(edges_of(nodes))
        ]
        for kind in ("normal", "reduce")
    }
    # Two successive edges of a source with the same operations are computed together.
    lists["normal"][4] = lists["normal"][2] = ["none", "skip_connect", "sep_conv_3x3"]
    primitives = list(WITH_NOISE)
    return method_of(
        SearchConfig(
            dataset="digits", nodes=nodes, channels=8, method=method, primitives=primitives, edges=lists, **values
        ).resolved()
    )


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("noise", "values"),
    [
        (False, {}),
        (True, {}),
        (False, {"method": "pc-darts", "partial_channels": 2, "weights_only_epochs": 0}),
        (True, {"method": "pc-darts", "partial_channels": 2, "weights_only_epochs": 0}),
        (False, {"method": "drnas-progressive", "stage_partial_channels": [8, 8]}),
    ],
)
def test_edges_of_different_operations_give_the_plain_networks_numbers(
    noise: bool, values: dict[str, Any], training: bool
) -> None:
    method = method_of_lists(3, noise=noise, **values)
    plain, fused = twins(WITH_NOISE, nodes=3, channels=8, method=method)
    for network in (plain, fused):
        statistics_drawn(network)
        network.train(training)
    assert plain.state_dict().keys() == fused.state_dict().keys()
    assert len(list(fused.grouped_weights())) > 0
    assert_same_numbers(fused, plain, batch_of((7, 8)))


def test_noise_alone_on_an_edge_is_computed_by_the_plain_cell() -> None:
    lists = [["noise"], ["skip_connect"]]
    config = SearchConfig(dataset="digits", nodes=1, edges={"normal": lists, "reduce": lists}).resolved()
    plain, fused = twins(config.primitives or (), nodes=1, method=method_of(config))
    assert_same_numbers(fused, plain, batch_of())
    assert not list(fused.grouped_weights())


def after_steps(network: SearchNetwork, order: Literal[1, 2], count: int, *, flat: bool) -> dict[str, Tensor]:
    options: dict[str, Any] = {"lr": 0.025, "momentum": 0.9, "weight_decay": 3e-4}
    if flat:
        network.share_statistics_storage()
        optimizer: torch.optim.SGD = FlatSGD(FlatWeights(network), **options)
    else:
        optimizer = torch.optim.SGD(network.weights(), **options)
    architect = Architect(network, optimizer, order=order, lr=3e-4, weight_decay=1e-3)
    for step in range(count):
        training, validation = batch_of(seed=2 * step), batch_of(seed=2 * step + 1)
        search_step(network, architect, optimizer, training, validation, 0.5, accumulate=1 + step % 2)
    buffers = {
        f"momentum {i}": optimizer.state[weight]["momentum_buffer"] for i, weight in enumerate(network.weights())
    }
    alphas = {name: alpha.detach() for name, alpha in network.alphas.items()}
    return {**network.state_dict(), **alphas, **buffers}


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("count", [1, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("order", [1, 2])
def test_search_steps_give_the_plain_networks_numbers(order: Literal[1, 2], count: int) -> None:
    plain, fused = twins(SPACES["shuffled"], channels=2)
    begun, terms = copy.deepcopy(plain), count * terms_of(plain, batch_of())

    def again(draw: int) -> dict[str, Tensor]:
        network = copy.deepcopy(begun)
        nudged([*network.parameters(), *network.alphas.values()], draw)
        return after_steps(network, order, count, flat=False)

    truth = after_steps(plain, order, count, flat=False)
    allowed = widened(bounds(truth, again, terms), truth)
    assert_within(after_steps(fused, order, count, flat=True), truth, allowed)


@pytest.mark.slow
@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("size", "channels"),  # halved twice: every way in which rows and channels fill vectors
    [((32, 32), 8), ((24, 40), 8), ((16, 16), 16)],
)
def test_float32_is_no_farther_from_the_truth_than_three_times_the_plain_network(
    training: bool, size: tuple[int, int], channels: int
) -> None:
    # Rounding decides one ReLU or one max-pool in about every tenth batch, and its gradients are then far from the
    # truth in any arrangement: the median over the batches knows nothing of these.
    found: list[dict[str, list[float]]] = [defaultdict(list), defaultdict(list)]
    sizes: dict[str, list[float]] = defaultdict(list)
    for seed in range(9):
        twin, *networks = twins(channels=channels)[0], *twins(channels=channels)
        batch = batch_of(size, 2, seed)
        truth = seen(twin.train(training), batch)
        errors_of(truth, {name: torch.zeros_like(value) for name, value in truth.items()}, sizes)
        for network, errors in zip(networks, found, strict=True):
            errors_of(truth, seen(network.float().train(training), batch), errors)
    plain, fused = ({part: median(values) for part, values in errors.items()} for errors in found)
    assert plain.keys() == fused.keys()
    ulp = {part: torch.finfo(torch.float32).eps * median(sizes[part]) for part in plain}
    too_far = {part: (fused[part], plain[part]) for part in plain if fused[part] > 3 * plain[part] + ulp[part]}
    assert too_far == {}


def errors_of(truth: dict[str, Tensor], ours: dict[str, Tensor], errors: dict[str, list[float]]) -> None:
    """Add to each part's list how far it is from the truth, in the Euclidean norm."""
    squares: dict[str, float] = defaultdict(float)
    for name in (name for name in truth if "num_batches" not in name):
        scale = float(truth[name].norm()) if "cells" in name else 1.0
        squares[part_of(name)] += (float((ours[name] - truth[name]).double().norm()) / (scale or 1.0)) ** 2
    for part, square in squares.items():
        errors[part].append(math.sqrt(square))


def part_of(name: str) -> str:
    """What is compared together, of tensors that are too many to be compared one by one."""
    return name if "cells" not in name else "gradient of cells" if "gradient" in name else name.rsplit(".")[-1]


def test_frozen_batchnorm_in_a_network_in_training_uses_its_running_statistics() -> None:
    plain, fused = twins()
    for network in (plain, fused):
        statistics_drawn(network.train())
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    before = statistics_of(fused)
    assert_same_numbers(fused, plain, batch_of())
    assert all(torch.equal(before[name], now) for name, now in statistics_of(fused).items())


def test_fused_network_has_the_plain_networks_state_dict() -> None:
    plain, fused = twins()
    assert list(fused.state_dict()) == list(plain.state_dict())
    assert [p.shape for p in fused.weights()] == [p.shape for p in plain.weights()]


def test_same_batch_gives_the_same_bits_twice() -> None:
    _, fused = twins()
    fused.float()
    first, second = (seen(fused, batch_of()) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first if "running" not in name and "num" not in name)


def test_single_value_a_channel_is_refused_in_training_as_by_batchnorm() -> None:
    _, fused = twins(reductions=())
    with pytest.raises(ValueError, match="more than 1 value"):
        fused(batch_of((1, 1), 1).images)
