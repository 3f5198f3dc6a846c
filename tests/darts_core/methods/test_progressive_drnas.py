"""Progressive DrNAS: its stages, the widening of weights and momentum, and kills within and between stages."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.configs.stages import Stage, stages_of
from darts_core.data.order import generator
from darts_core.errors import ConfigError, Stopped
from darts_core.files import checkpoints
from darts_core.files.checkpoints import Checkpoint
from darts_core.files.loading import load
from darts_core.genotypes import to_json
from darts_core.methods.registry import method_of
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.build import build_supernet
from darts_core.models.supernet import SearchNetwork
from darts_core.models.widening import widening_of
from darts_core.training.reports import EpochReport
from tests.support.recorder import AT_EVERY_STEP, Recorder
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]

SMALL: dict[str, Any] = {
    "method": "drnas-progressive",
    "primitives": ["max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3"],
    "channels": 8,
    "epochs": 4,
    "stage_operations": [4, 2],
    "stage_partial_channels": [4, 2],
    "weights_only_epochs": 0,
}
NASBENCH201: dict[str, Any] = {
    **SMALL,
    "space": "nasbench201",
    "primitives": None,
    "nodes": 3,
    "stage_operations": [5, 3],
}
in_both_spaces = pytest.mark.parametrize(
    "values", [{**SMALL, "fused": True}, {**SMALL, "fused": False}, NASBENCH201], ids=["fused", "plain", "nasbench201"]
)


def searched(config: SearchConfig, data_root: Path, **options: Any) -> list[EpochReport]:
    return list(run_search(config, data_root=data_root, **options))


def test_it_takes_its_authors_values_on_cifar10() -> None:
    spec = SearchConfig(dataset="cifar10", method="drnas-progressive").resolved()
    assert stages_of(dict(spec)) == (Stage(0, 1, 25, 20, 7, 6), Stage(1, 26, 50, 20, 4, 4))
    assert (spec.space, spec.channels, spec.weights_only_epochs) == ("darts-no-none", 36, 10)
    assert (spec.batch_size, spec.weight_lr, spec.weight_lr_min, spec.alpha_lr) == (64, 0.1, 0, 6e-4)
    small = SearchConfig(dataset="digits", method="drnas-progressive").resolved()
    assert small.stage_partial_channels == [4, 4]


def test_it_takes_its_authors_values_in_nasbench201() -> None:
    given: dict[str, Any] = {"method": "drnas-progressive", "space": "nasbench201"}
    spec = SearchConfig(dataset="cifar10", **given).resolved()
    assert stages_of(dict(spec)) == (Stage(0, 1, 50, 15, 5, 4), Stage(1, 51, 100, 15, 3, 2))
    assert (spec.channels, spec.weights_only_epochs) == (16, 10)
    assert (spec.batch_size, spec.weight_lr, spec.weight_lr_min, spec.alpha_lr) == (64, 0.025, 0.001, 3e-4)


@pytest.mark.parametrize(("epochs", "split"), [(1, [(1, 1)]), (2, [(1, 1), (2, 2)]), (5, [(1, 2), (3, 5)])])
def test_few_epochs_are_split_over_the_stages_and_all_train_the_alphas(
    epochs: int, split: list[tuple[int, int]]
) -> None:
    given: dict[str, Any] = {"method": "drnas-progressive", "space": "nasbench201"}
    spec = SearchConfig(dataset="digits", layers=3, epochs=epochs, **given).resolved()
    assert [(stage.first, stage.last) for stage in stages_of(dict(spec))] == split
    assert spec.weights_only_epochs == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stage_partial_channels": [3, 2]}, "3 does not divide 8 channels"),
        ({"stage_partial_channels": [2, 4]}, "no stage has a larger K than the one before it"),
        ({"stage_partial_channels": [2]}, "has 1 values for 2 stages"),
        ({"method": "drnas", "stage_partial_channels": [2]}, "is a field of drnas-progressive, not of drnas"),
    ],
)
def test_widths_are_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SearchConfig(**{"dataset": "digits", "method": "drnas-progressive", **values}).resolved()


def stages(search_config: MakeSearch, **changes: Any) -> tuple[SearchNetwork, SearchNetwork]:
    """The networks of both stages, with their own random weights and statistics."""
    config = search_config(**{**SMALL, **changes})
    method = method_of(config)
    found: list[SearchNetwork] = []
    for number in range(2):
        torch.manual_seed(number)
        if number:
            method.begin_stage(method.stages[1], found[0].alphas)
        network = build_supernet(config, classes=2, image_channels=1, stem="cifar", fused=False, method=method)
        assert isinstance(network, SearchNetwork)
        for name, buffer in network.named_buffers():
            if "num_batches" not in name:
                buffer.uniform_(0.5, 1.5)
        found.append(network)
    return found[0], found[1]


def test_widened_channels_are_the_narrow_ones_and_copies_of_them(search_config: MakeSearch) -> None:
    narrow, wide = stages(search_config)
    sources = widening_of(narrow, wide, generator(0, "widening"))
    before, after = narrow.state_dict(), wide.state_dict()
    assert set(after) < set(before)
    for name, tensor in after.items():
        found = sources[name].widened(before[name]) if name in sources else before[name]
        assert found.shape == tensor.shape, name
        if name not in sources:
            continue
        assert "_ops." in name
        assert set(found.unique().tolist()) == set(before[name].unique().tolist())
        if not name.endswith(("bn.running_mean", "bn.running_var")):  # halves of reductions, checked below
            assert torch.equal(found[tuple(map(slice, before[name].shape))], before[name])


def test_statistics_are_copied_from_the_channels_that_their_convolution_is_copied_from(
    search_config: MakeSearch,
) -> None:
    narrow, wide = stages(search_config)
    sources = widening_of(narrow, wide, generator(0, "widening"))
    modules = dict(wide.named_modules())
    checked = 0
    for name in sources:
        parent, _, number = name.removesuffix(".running_mean").rpartition(".")
        if not name.endswith("running_mean") or not number.isdigit() or int(number) < 2:
            continue
        convolution = f"{parent}.{int(number) - 1}.weight"
        assert isinstance(modules[f"{parent}.{int(number) - 1}"], torch.nn.Conv2d)
        outputs = sources[convolution].outputs
        assert outputs is not None
        of_statistics = sources[name].outputs
        assert of_statistics is not None
        assert torch.equal(outputs, of_statistics)
        checked += 1
    assert checked > 10


def test_a_reductions_statistics_follow_both_of_its_halves(search_config: MakeSearch) -> None:
    narrow, wide = stages(search_config, stage_operations=[4, 4])
    sources = widening_of(narrow, wide, generator(0, "widening"))
    reductions = [name.removesuffix(".conv_1.weight") for name in sources if name.endswith("conv_1.weight")]
    assert reductions
    for name in reductions:
        first, second = (sources[f"{name}.conv_{half}.weight"].outputs for half in (1, 2))
        assert first is not None
        assert second is not None
        width = narrow.state_dict()[f"{name}.bn.running_mean"].numel()
        expected = torch.cat([first, second + width // 2])
        found = sources[f"{name}.bn.running_mean"].outputs
        assert found is not None
        assert torch.equal(found, expected)


@in_both_spaces
def test_a_stage_goes_on_with_weights_momentum_alphas_and_schedule(
    values: dict[str, Any], search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    # A learning rate of next to nothing leaves in the second stage what was carried over.
    config = search_config(**values, schedule="step", schedule_factor=1e-30, schedule_every=2)
    config = config.model_copy(update={"weight_lr_min": 0.0, "weights_only_epochs": 1}).resolved()
    reports = searched(config, data_root)
    assert [report.metrics["weight_lr"] for report in reports] == pytest.approx([0.05, 0.05, 5e-32, 5e-32])
    before, after = reports[1].checkpoint, reports[2].checkpoint
    assert int(after["method"]["stage"]) == 1
    narrow = networks(before, tmp_path)
    wide = networks(after, tmp_path)
    sources = widening_of(narrow, wide, generator(config.seed, "widening", 1))
    names = [name for name, _ in wide.named_parameters()]
    for name in names:
        expected = before["weights"][name]
        expected = sources[name].widened(expected) if name in sources else expected
        torch.testing.assert_close(after["weights"][name], expected, rtol=0, atol=1e-12)
    for kind, alphas in after["alphas"].items():
        present = after["method"][kind]
        assert set(present.sum(dim=1).tolist()) == {values["stage_operations"][1]}
        # Only the weights are trained in the first epoch of the stage.
        assert torch.equal(alphas[present], before["alphas"][kind][present])
        assert not alphas[~present].any()
        strengths = torch.tensor(after["strengths"][kind])
        torch.testing.assert_close(strengths.sum(dim=1), torch.ones(len(alphas)))
        assert not strengths[~present].any()
    moments = [checkpoint["resume"]["alpha_optimizer"]["state"][0] for checkpoint in (before, after)]
    assert_same_bits(moments[0], moments[1])


def networks(checkpoint: Checkpoint, folder: Path) -> AlphaNetwork:
    checkpoints.save(checkpoint, folder / "stage.pt")
    network = load(folder / "stage.pt").network
    assert isinstance(network, AlphaNetwork)
    assert to_json(network.genotype()) == checkpoint["genotype"]
    return network


def test_fused_and_plain_searches_carry_the_same_momentum(search_config: MakeSearch, data_root: Path) -> None:
    config = search_config(**{**SMALL, "epochs": 2, "checkpoint_seconds": AT_EVERY_STEP, "momentum": 0.5})
    # After the first step of the stage, whose gradient was added to half of the carried momentum.
    both: list[list[Tensor]] = []
    for fused in (True, False):
        control = Recorder(stop_at=4)
        with contextlib.suppress(Stopped):
            searched(config.model_copy(update={"fused": fused, "precision": "float64"}), data_root, control=control)
        state = control.kept[-1]["resume"]["weight_optimizer"]
        both.append([moments["momentum_buffer"] for moments in state["state"].values()])
    assert sum(map(Tensor.numel, both[0])) == sum(map(Tensor.numel, both[1]))
    left, right = (torch.cat([tensor.flatten() for tensor in found]).sort().values for found in both)
    torch.testing.assert_close(left, right, rtol=0, atol=1e-9)


@in_both_spaces
@pytest.mark.parametrize("stop_at", [4, 6, 7])
def test_a_search_killed_in_or_between_stages_ends_bit_for_bit_like_an_undisturbed_one(
    stop_at: int, values: dict[str, Any], search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(**values, checkpoint_seconds=AT_EVERY_STEP)
    undisturbed = searched(config, data_root)
    control = Recorder(stop_at=stop_at)
    latest: Checkpoint | None = None
    with contextlib.suppress(Stopped):
        for report in run_search(config, data_root=data_root, control=control):
            latest = report.checkpoint
    if control.kept and (latest is None or control.kept[-1]["resume"]["step"] > latest["resume"]["step"]):
        latest = control.kept[-1]
    assert latest is not None
    checkpoints.save(latest, tmp_path / "middle.pt")
    resumed = searched(config, data_root, resume_from=checkpoints.read(tmp_path / "middle.pt"))
    assert_same_bits(undisturbed[-1].checkpoint, resumed[-1].checkpoint)
