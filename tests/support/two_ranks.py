"""Takes training steps on one rank or on two.

`python -m tests.support.two_ranks RANK FOLDER DATA_ROOT` is one of two ranks, and writes its results to FOLDER/RANK.pt.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from darts_core.bilevel.step import search_step
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.data.batches import Batch
from darts_core.distributed import group as groups
from darts_core.distributed.group import ALONE, Group
from darts_core.training.control import UNCONTROLLED
from darts_core.training.evaluation import ImageEvaluation
from darts_core.training.evaluation_step import evaluation_step
from darts_core.training.images import DeviceData
from darts_core.training.search import ImageSearch

STEPS = 4
COMMON: dict[str, Any] = {
    "dataset": "folder:tiny",
    "batch_size": 8,
    "channels": 2,
    "layers": 3,
    "crop_padding": 1,
    "weight_lr": 0.05,
    "grad_clip": 0.2,  # low enough to matter in every step
}
SEARCH = {
    **COMMON,
    "nodes": 2,
    "alpha_lr": 0.01,
    "primitives": ["none", "max_pool_3x3", "skip_connect", "dil_conv_3x3"],
}
EVALUATION = {**COMMON, "genotype": "DARTS_V2", "auxiliary": False, "drop_path": 0.3, "label_smoothing": 0.1}
CPU = torch.device("cpu")


def search(order: int, data_root: Path, group: Group = ALONE, *, frozen: bool) -> dict[str, Any]:
    """Steps of a search in float64. `frozen`: BatchNorm in evaluation mode.

    Gives the alphas, weights and statistics after each step, and the first alpha gradient, averaged and this rank's.
    """
    config = SearchConfig(**SEARCH, order=order).resolved()
    run = ImageSearch(config, DeviceData.read(config, data_root, CPU, group), UNCONTROLLED)
    run.network.double().train()
    _freeze(run.network, frozen)
    batches = [[_double(feed.batch(n)) for feed in (run.weight_feed, run.alpha_feed)] for n in range(STEPS)]
    # Some steps first: momentum buffers are part of the second-order step.
    seen: dict[str, Any] = {"steps": []}
    for number, (training, validation) in enumerate(batches):
        if number == 1:
            seen["gradient"] = run.architect.gradient(training, validation)
            run.architect._group = ALONE
            seen["own_gradient"] = run.architect.gradient(training, validation)
            run.architect._group = group
        search_step(run.network, run.architect, run.weight_optimizer, training, validation, config.grad_clip, group)
        seen["steps"].append({**_copied(run.network.state_dict()), **_copied(run.network.alphas)})
    return seen


def evaluation(data_root: Path, group: Group = ALONE, *, frozen: bool) -> dict[str, Any]:
    """The same of a training from scratch, with drop-path; the first gradient before it is clipped."""
    config = EvaluationConfig(**EVALUATION).resolved()
    run = ImageEvaluation(config, DeviceData.read(config, data_root, CPU, group), UNCONTROLLED)
    run.network.double().train()
    _freeze(run.network, frozen)
    run.network.set_drop_path(0.3, run.drop_path_source, group)
    seen: dict[str, Any] = {"steps": []}
    for number in range(STEPS):
        evaluation_step(run.network, run.optimizer, _double(run.feed.batch(number)), config, group)
        seen["steps"].append(_copied(run.network.state_dict()))
    return seen


def everything(data_root: Path, group: Group = ALONE) -> dict[str, Any]:
    """What the tests compare. `frozen/...`: equal on any number of ranks."""
    return {
        "frozen/order 1": search(1, data_root, group, frozen=True),
        "frozen/order 2": search(2, data_root, group, frozen=True),
        "frozen/evaluation": evaluation(data_root, group, frozen=True),
        "order 1": search(1, data_root, group, frozen=False),
        "order 2": search(2, data_root, group, frozen=False),
        "evaluation": evaluation(data_root, group, frozen=False),
    }


def _freeze(network: nn.Module, frozen: bool) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(not frozen)


def _double(batch: Batch) -> Batch:
    return Batch(batch.images.double(), batch.labels)


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def main() -> None:
    rank, folder, data_root = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    group = groups.join(rank, 2, folder / "store", CPU)
    torch.save(everything(data_root, group), folder / f"{rank}.pt")
    groups.leave()


if __name__ == "__main__":
    main()
