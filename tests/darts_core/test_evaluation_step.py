"""The fast evaluation step against the plain loop: same weights and images, same numbers; and nothing is waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.plain_evaluation import plain_batch, plain_optimizer, plain_step
from darts_core.configs import EvaluationConfig
from darts_core.data.batches import Batch
from darts_core.data.order import generator
from darts_core.distributed.group import ALONE
from darts_core.genotypes import Genotype
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.training.control import UNCONTROLLED
from darts_core.training.evaluation import ImageEvaluation
from darts_core.training.evaluation_step import evaluation_step, restore_optimizer, weight_optimizer
from darts_core.training.images import DeviceData
from tests.support.asking import Asking, Fetching
from tests.support.rounding import assert_within, bounds, nudged
from tests.support.same_bits import assert_same_bits

CPU = torch.device("cpu")
MakeEvaluation = Callable[..., EvaluationConfig]

# Of each family of presets what the other one lacks. ImageNet's stem leaves too little of 32 pixels for its head.
FAMILIES: dict[str, dict[str, Any]] = {
    "cifar10": {"auxiliary": True, "drop_path": 0.3},
    "imagenet": {"auxiliary": False, "drop_path": 0.0, "label_smoothing": 0.1, "stem": "imagenet", "channels": 8},
}


class Run:
    """One side of a comparison, in float64."""

    def __init__(self, config: EvaluationConfig, *, plain: bool) -> None:
        self.config, self.plain = config, plain
        torch.manual_seed(0)
        cell = config.cell()
        assert isinstance(cell, Genotype)
        network = EvaluationNetwork(
            cell,
            channels=config.channels,
            layers=config.layers,
            classes=3,
            auxiliary=config.auxiliary,
            stem=config.stem or "cifar",
        )
        network.double().train()
        self.drop_path_source = generator(0, "drop-path")
        network.set_drop_path(config.drop_path, self.drop_path_source)
        if not plain:
            network.to(memory_format=torch.channels_last)
        self.network = network
        weights = network.parameters()
        self.optimizer = plain_optimizer(network, config) if plain else weight_optimizer(weights, config, CPU)

    def step(self, number: int) -> None:
        batch = batch_of(number)
        if self.plain:
            plain_step(self.network, self.optimizer, batch, self.config)
        else:
            evaluation_step(self.network, self.optimizer, batch, self.config)

    def after(self, numbers: Iterable[int]) -> dict[str, Tensor]:
        """The tensors behind the steps of these numbers."""
        for number in numbers:
            self.step(number)
        return self.tensors()

    def tensors(self) -> dict[str, Tensor]:
        momentum = {
            f"momentum of {name}": self.optimizer.state[weight]["momentum_buffer"]
            for name, weight in self.network.named_parameters()
        }
        return {**self.network.state_dict(), **momentum}


def batch_of(number: int) -> Batch:
    source = torch.Generator().manual_seed(number)
    images = torch.randn(4, 3, 32, 32, generator=source, dtype=torch.float64)
    return Batch(images, torch.randint(3, (4,), generator=source))


def assert_plain_numbers(ours: dict[str, Tensor], config: EvaluationConfig, steps: int) -> None:
    """Within rounding of what the plain loop has after so many steps."""

    def again(draw: int) -> dict[str, Tensor]:
        moved = Run(config, plain=True)
        nudged(moved.network.parameters(), draw)
        return moved.after(range(steps))

    truth = Run(config, plain=True).after(range(steps))
    # The longest sum of a step is over the pixels of all images, in the statistics of the first BatchNorm.
    assert_within(ours, truth, bounds(truth, again, steps * batch_of(0).images[:, 0].numel()))


@pytest.fixture(params=FAMILIES)
def config(request: pytest.FixtureRequest, evaluation_config: MakeEvaluation) -> EvaluationConfig:
    """Of either family."""
    family = FAMILIES[request.param]
    return evaluation_config(**{"preset": request.param, "channels": 2, "grad_clip": 0.5, **family})


@pytest.mark.parametrize("count", [1, 20])
def test_steps_give_the_plain_loops_numbers(config: EvaluationConfig, count: int) -> None:
    assert_plain_numbers(Run(config, plain=False).after(range(count)), config, count)


@pytest.mark.parametrize("plain_first", [True, False])
def test_either_loop_goes_on_from_the_others_state(plain_first: bool, config: EvaluationConfig) -> None:
    first, then = (Run(config, plain=plain) for plain in (plain_first, not plain_first))
    first.after((0, 1))
    then.network.load_state_dict(first.network.state_dict())
    restore_optimizer(then.optimizer, first.optimizer.state_dict())
    then.network.set_drop_path(config.drop_path, first.drop_path_source)
    assert_plain_numbers(then.after((2, 3)), config, 4)


def test_steps_from_contiguous_saved_momentum_are_those_of_an_undisturbed_run(config: EvaluationConfig) -> None:
    """The fused step reads memory as it lies: a buffer laid out otherwise would move the wrong weights."""
    undisturbed, resumed = Run(config, plain=False), Run(config, plain=False)
    undisturbed.step(0)
    state = undisturbed.optimizer.state_dict()
    contiguous = {"memory_format": torch.contiguous_format}
    buffers = {i: {"momentum_buffer": s["momentum_buffer"].clone(**contiguous)} for i, s in state["state"].items()}
    resumed.network.load_state_dict(undisturbed.network.state_dict())
    restore_optimizer(resumed.optimizer, {**state, "state": buffers})
    resumed.network.set_drop_path(config.drop_path, undisturbed.drop_path_source)
    drawn = undisturbed.drop_path_source.get_state()
    undisturbed.step(1)
    undisturbed.drop_path_source.set_state(drawn)
    resumed.step(1)
    assert_same_bits(resumed.tensors(), undisturbed.tensors())


def test_batches_are_those_of_augmenting_image_by_image(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    config = evaluation_config(dataset="folder:tiny32", batch_size=4, crop_padding=3, flip=True, cutout=8)
    run = ImageEvaluation(config, DeviceData.read(config, data_root, CPU), UNCONTROLLED)
    for step in range(2 * run.feed.steps):
        ours = run.feed.batch(step)
        truth = plain_batch(run.data.source, run.feed._part, "training", config, step, run.feed.steps)
        assert torch.equal(ours.labels, truth.labels)
        assert torch.equal(ours.images, truth.images)


@pytest.mark.parametrize("auxiliary", [True, False])
def test_steps_ask_the_device_for_nothing(auxiliary: bool, evaluation_config: MakeEvaluation, data_root: Path) -> None:
    config = evaluation_config(
        dataset="folder:tiny32", auxiliary=auxiliary, batch_size=4, flip=True, label_smoothing=0.1
    )
    run = ImageEvaluation(config, DeviceData.read(config, data_root, CPU), UNCONTROLLED)
    run.feed.batch(0)  # a pass begins with draws of its own
    dispatched, fetched = Asking(), Fetching()
    with dispatched, fetched:
        run.epoch = 2
        run.train()
    assert run.drop_path > 0
    assert run.feed.steps > 1
    assert dispatched.asked == fetched.asked == []
    assert run.sums.result(ALONE).images == len(run.feed._part)


def test_counting_notices_who_asks() -> None:
    """Else the test above could not fail."""
    dispatched, fetched = Asking(), Fetching()
    with dispatched, fetched:
        torch.ones(1).item()
        torch.ones(2).tolist()
    assert dispatched.asked
    assert fetched.asked == ["item", "tolist"]
