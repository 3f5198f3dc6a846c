"""Takes training steps and gradients on one rank or on several.

`python -m tests.support.ranks RANK SIZE FOLDER DATA_ROOT` is one of SIZE ranks, and writes its results to
FOLDER/RANK.pt.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD, FlatWeights
from darts_core.bilevel.step import search_step
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.data.batches import Batch
from darts_core.distributed import group as groups
from darts_core.distributed.batch_norm import synchronise
from darts_core.distributed.group import ALONE, Group
from darts_core.kernels import loader
from darts_core.methods.registry import method_of
from darts_core.models.fused import dispatch
from darts_core.models.fused.torch_backend import TorchBackend
from darts_core.models.supernet import SearchNetwork
from darts_core.spaces import SPACES
from darts_core.training.control import UNCONTROLLED
from darts_core.training.evaluation import ImageEvaluation
from darts_core.training.evaluation_step import evaluation_step
from darts_core.training.image_search import ImageSearch
from darts_core.training.images import DeviceData

STEPS: Final = 3
COMMON: Final[dict[str, Any]] = {
    "dataset": "folder:tiny",
    "channels": 2,
    "layers": 3,
    "crop_padding": 1,
    "weight_lr": 0.05,
    "grad_clip": 0.2,  # low enough to matter in every step
}
SEARCH: Final = {
    **COMMON,
    "train_portion": 0.625,  # 20 images, 12 for the alphas
    "batch_size": 12,  # the second batch for the weights, of 8 images, ends a pass
    "nodes": 2,
    "alpha_lr": 0.01,
    "primitives": ["none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3"],
}
EVALUATION: Final = {
    **COMMON,
    "batch_size": 24,  # the second batch, of 8 images, ends a pass
    "genotype": "DARTS_V2",
    "auxiliary": False,
    "drop_path": 0.3,
    "label_smoothing": 0.1,
}
CPU: Final = torch.device("cpu")

Seen = dict[str, Any]
Arrangement = Literal["plain", "torch", "channels-last", "kernels"]
ARRANGEMENTS: Final[tuple[Arrangement, ...]] = ("plain", "torch", "channels-last", "kernels")
OTHERS: Final = ("pc-darts", "darts-minus", "alphas of order 1")
# Images of each rank that do not have equally many.
UNEQUAL: Final = {2: [5, 7], 4: [2, 3, 3, 4]}


def on_ranks(size: int, folder: Path, data_root: Path) -> list[Seen]:
    """What each of several ranks saw."""
    program = [sys.executable, "-m", __name__]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([*program, str(rank), str(size), str(folder), str(data_root)], env=environment)
        for rank in range(size)
    ]
    try:
        assert [process.wait(280) for process in processes] == [0] * size
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(size)]


def everything(data_root: Path, group: Group = ALONE) -> Seen:
    """What the tests compare: by kind, equal on any number of ranks."""
    seen: Seen = {
        "order 1": search(1, data_root, group),
        "order 2": search(2, data_root, group),
        "evaluation": evaluation(data_root, group),
    }
    for kind in kinds(group.size):
        what, name = kind.split(", ")
        with computing(name):
            seen[kind] = _seen(what, group, fused=name != "plain")
    return seen


def kinds(size: int) -> list[str]:
    """Gradients that so many ranks take: each `WHAT, ARRANGEMENT`. A process alone takes those of all ranks."""
    found = [f"darts, {name}" for name in arrangements()]
    found += [f"{what}, channels-last" for what in ("unequal", "alphas of order 2") if size > 1 or what != "unequal"]
    if size <= 2:  # more ranks than cores are slow
        found += [f"{what}, {name}" for what in OTHERS for name in ("plain", "channels-last")]
        found += ["alphas of order 2, plain"]
    return found


def _seen(what: str, group: Group, *, fused: bool) -> dict[str, Tensor]:
    if what.startswith("alphas of order"):
        return alpha_gradient(int(what[-1]), group, fused=fused)
    part = shared(batch_of(1), group)
    if what == "unequal":
        part = parted(batch_of(1), UNEQUAL[group.size], group.rank)
    network = network_of("darts" if what == "unequal" else what, group, fused=fused)
    return gradients(network, part, group)


def arrangements() -> list[Arrangement]:
    """Those that this machine can compute."""
    return [name for name in ARRANGEMENTS if name != "kernels" or loader.available()]


@contextlib.contextmanager
def computing(name: str) -> Iterator[None]:
    """Fused cells take this backend within the context."""
    with contextlib.ExitStack() as patches:
        if name == "torch":
            patches.enter_context(mock.patch.object(dispatch, "_backend_for", return_value=TorchBackend()))
        if name in ("torch", "channels-last"):
            patches.enter_context(mock.patch.object(loader, "available", return_value=False))
        yield


def search(order: int, data_root: Path, group: Group = ALONE) -> Seen:
    """Steps of a search in float64: the alphas, weights and statistics after each."""
    config = SearchConfig(**SEARCH, order=order).resolved()
    run = ImageSearch(config, DeviceData.read(config, data_root, CPU, group), UNCONTROLLED)
    run.network.double().train()
    batches = [[_double(feed.batch(n)) for feed in (run.weight_feed, run.alpha_feed)] for n in range(STEPS)]
    seen: Seen = {"steps": []}
    for training, validation in batches:
        search_step(run.network, run.architect, run.weight_optimizer, training, validation, config.grad_clip, group)
        seen["steps"].append({**_copied(run.network.state_dict()), **_copied(run.network.alphas)})
    return seen


def evaluation(data_root: Path, group: Group = ALONE) -> Seen:
    """The same of a training from scratch, with drop-path."""
    config = EvaluationConfig(**EVALUATION).resolved()
    run = ImageEvaluation(config, DeviceData.read(config, data_root, CPU, group), UNCONTROLLED)
    run.network.double().train()
    run.network.set_drop_path(0.3, run.drop_path_source, group)
    seen: Seen = {"steps": []}
    for number in range(STEPS):
        evaluation_step(run.network, run.optimizer, _double(run.feed.batch(number)), config, group)
        seen["steps"].append(_copied(run.network.state_dict()))
    return seen


def network_of(method: str, group: Group, *, fused: bool) -> SearchNetwork:
    """A supernet of all operations in float64, on images of 2 channels and 3 classes."""
    config = SearchConfig(dataset="digits", method=method, channels=8, batch_size=8).resolved()
    torch.manual_seed(0)
    network = SearchNetwork(
        SPACES["darts"].primitives,
        channels=8 if method == "pc-darts" else 4,
        layers=3,
        nodes=2,
        classes=3,
        image_channels=2,
        fused=fused,
        method=method_of(config),
    ).double()
    for alpha in network.alphas.values():
        alpha.data = torch.randn_like(alpha)
    network.method.begin_epoch(1)
    network.method.begin_step(0)
    synchronise(network, group)
    return network.train()


def batch_of(seed: int) -> Batch:
    source = torch.Generator().manual_seed(seed)
    images = torch.randn(12, 2, 9, 8, generator=source, dtype=torch.float64)
    return Batch(images, torch.randint(3, (12,), generator=source))


def shared(batch: Batch, group: Group) -> Batch:
    """This rank's share."""
    return Batch(group.share(batch.images), group.share(batch.labels))


def parted(batch: Batch, sizes: list[int], rank: int) -> Batch:
    """The part of a rank, of consecutive parts of these sizes."""
    images, labels = torch.split(batch.images, sizes), torch.split(batch.labels, sizes)
    return Batch(images[rank], labels[rank])


def gradients(network: SearchNetwork, part: Batch, group: Group) -> dict[str, Tensor]:
    """The loss of the whole batch, its gradients, and the running statistics that the pass left."""
    tensors = {**network.alphas, **dict(network.named_parameters())}
    images = group.sum(torch.tensor(float(len(part.labels)), dtype=torch.float64))
    # The mean over the ranks is that over all images.
    weight = group.size * len(part.labels) / images
    loss = weight * F.cross_entropy(network(part.images), part.labels)
    own = torch.autograd.grad(loss, list(tensors.values()), allow_unused=True, materialize_grads=True)
    [mean, *found] = group.mean([loss.detach().reshape(1), *own])
    by_name = {f"gradient of {name}": gradient for name, gradient in zip(tensors, found, strict=True)}
    return {"loss": mean, **by_name, **_copied(dict(network.named_buffers()))}


def alpha_gradient(order: int, group: Group, *, fused: bool) -> dict[str, Tensor]:
    """Of the second step: with momentum."""
    network = network_of("darts", group, fused=fused)
    options: dict[str, Any] = {"lr": 0.025, "momentum": 0.9, "weight_decay": 3e-4}
    optimizer = (
        FlatSGD(FlatWeights(network), **options)
        if fused
        else torch.optim.SGD(network.weights(), foreach=True, **options)
    )
    architect = Architect(network, optimizer, order=order, lr=3e-3, weight_decay=1e-3, group=group)  # type: ignore[arg-type]
    training, validation = (shared(batch_of(seed), group) for seed in (1, 2))
    search_step(network, architect, optimizer, training, validation, 5.0, group)
    found = architect.gradient(training, validation)
    statistics = _copied(dict(network.named_buffers()))
    return {**dict(zip(network.alphas, found, strict=True)), **statistics}


def _double(batch: Batch) -> Batch:
    return Batch(batch.images.double(), batch.labels)


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def main() -> None:
    rank, size, folder, data_root = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    torch.set_num_threads(1)
    group = groups.join(rank, size, folder / "store", CPU)
    torch.save(everything(data_root, group), folder / f"{rank}.pt")
    groups.leave()


if __name__ == "__main__":
    main()
