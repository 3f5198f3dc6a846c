"""A batch computed in parts. BatchNorm in evaluation mode: in training it sees each part by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from darts_core import run_evaluation, run_search
from darts_core.bilevel.architect import Architect
from darts_core.bilevel.step import weight_step
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.data.batches import Batch
from darts_core.errors import ConfigError
from darts_core.models.supernet import SearchNetwork

MakeSearch = Callable[..., SearchConfig]
MakeEvaluation = Callable[..., EvaluationConfig]


def _network() -> tuple[SearchNetwork, torch.optim.SGD]:
    torch.manual_seed(0)
    network = SearchNetwork(["skip_connect", "sep_conv_3x3"], channels=2, layers=3, classes=3, nodes=1).double().eval()
    return network, torch.optim.SGD(network.weights(), lr=0.1, momentum=0.9, weight_decay=1e-3)


def _batch(seed: int) -> Batch:
    source = torch.Generator().manual_seed(seed)
    images = torch.randn(7, 3, 8, 8, dtype=torch.float64, generator=source)
    return Batch(images, torch.randint(3, (7,), generator=source))


@pytest.mark.parametrize("parts", [2, 3])
def test_a_weight_step_in_parts_is_that_of_the_whole_batch(parts: int) -> None:
    stepped: list[list[Tensor]] = []
    for accumulate in (1, parts):
        network, sgd = _network()
        loss, logits = weight_step(network, sgd, _batch(1), grad_clip=5.0, accumulate=accumulate)
        stepped.append([loss, logits, *network.weights()])
    torch.testing.assert_close(stepped[0], stepped[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_an_alpha_gradient_in_parts_is_that_of_the_whole_batch(order: Literal[1, 2]) -> None:
    gradients = []
    for accumulate in (1, 3):
        network, sgd = _network()
        architect = Architect(network, sgd, order=order, lr=0.1, weight_decay=0.0, accumulate=accumulate)
        gradients.append(architect.gradient(_batch(1), _batch(2)))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-9, atol=1e-9)


def test_parts_are_of_two_images_at_least() -> None:
    batch = _batch(0)
    assert [len(part.labels) for part, _ in batch.parts(3)] == [3, 2, 2]
    assert [len(part.labels) for part, _ in batch.parts(100)] == [3, 2, 2]
    assert sum(share for _, share in batch.parts(3)) == pytest.approx(1)


def test_both_loops_run_in_parts(search_config: MakeSearch, evaluation_config: MakeEvaluation, data_root: Path) -> None:
    (searched,) = run_search(search_config(epochs=1, accumulate=3), data_root=data_root)
    (evaluated,) = run_evaluation(evaluation_config(epochs=1, accumulate=2), data_root=data_root)
    assert [report.checkpoint["spec"]["accumulate"] for report in (searched, evaluated)] == [3, 2]


def test_more_parts_than_pairs_of_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="accumulate: 40 parts leave less than 2 images of a batch of 64; at most 32"):
        SearchConfig(dataset="cifar10", accumulate=40).resolved()
