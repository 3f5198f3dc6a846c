"""R-DARTS: drop-path, the early stop by the authors' windows, and the weight decay that rises behind a roll back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.data.augmentation import Augmentation, Draws, cut_out, draw
from darts_core.errors import ConfigError, Stopped
from darts_core.files import checkpoints
from darts_core.kernels import loader
from darts_core.kernels.cpu_backend import CpuBackend
from darts_core.methods.drop_path import DropPathDarts
from darts_core.methods.registry import method_of
from darts_core.models.fused import dispatch
from darts_core.models.fused.backend import CellBackend
from darts_core.models.fused.channels_last_backend import ChannelsLastBackend
from darts_core.models.fused.torch_backend import TorchBackend
from darts_core.models.supernet import SearchNetwork
from darts_core.primitives import CNN_PRIMITIVES
from darts_core.training.early_stopping import AUTHORS, GrowthRule
from darts_core.training.reports import EpochReport
from tests.support.recorder import AT_EVERY_STEP, Recorder
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]


def searched(config: SearchConfig, data_root: Path) -> list[EpochReport]:
    return list(run_search(config, data_root=data_root))


# The neutral element


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(
    ("method", "neutral"),
    [
        ("r-darts-l2", {"weight_decay": 3e-4}),
        ("r-darts-dp", {"drop_path": 0}),
        ("r-darts-es", {"hessian_every": 1, "growth_limit": 1e6}),
        ("r-darts-ada", {"hessian_every": 1, "growth_limit": 1e6}),
    ],
)
def test_at_darts_values_it_is_darts_bit_for_bit(
    method: str, neutral: dict[str, Any], fused: bool, search_config: MakeSearch, data_root: Path
) -> None:
    plain = searched(search_config(epochs=3, fused=fused), data_root)
    for one, other in zip(
        plain, searched(search_config(epochs=3, fused=fused, method=method, **neutral), data_root), strict=True
    ):
        assert_same_bits(one.checkpoint["weights"], other.checkpoint["weights"])
        assert_same_bits(one.checkpoint["alphas"], other.checkpoint["alphas"])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("fused", [True, False])
def test_drop_paths_own_path_agrees_with_darts_where_nothing_is_dropped(
    fused: bool, order: int, search_config: MakeSearch, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"epochs": 3, "precision": "float64", "fused": fused, "order": order}
    plain = searched(search_config(**values), data_root)[-1]
    monkeypatch.setattr(DropPathDarts, "rate", 5e-324)  # not 0, and lost in every sum
    dropping = searched(search_config(**values, method="r-darts-dp"), data_root)[-1]
    for kind in ("alphas", "weights"):
        for name, table in plain.checkpoint[kind].items():
            torch.testing.assert_close(dropping.checkpoint[kind][name], table, rtol=0, atol=1e-10)


# Weight decay


def test_its_weight_decay_replaces_the_presets_and_not_the_specs() -> None:
    assert SearchConfig(dataset="digits", method="r-darts-l2").resolved().weight_decay == 81e-4
    assert SearchConfig(dataset="cifar10", method="r-darts-l2", preset="cifar10").resolved().weight_decay == 81e-4
    given = SearchConfig(dataset="digits", method="r-darts-l2", weight_decay=1e-3).resolved()
    assert given.weight_decay == given.resolved().weight_decay == 1e-3
    assert SearchConfig(dataset="digits").resolved().weight_decay == 3e-4
    assert SearchConfig(dataset="digits", method="r-darts-es", hessian_every=None).resolved().hessian_every == 2
    assert SearchConfig(dataset="cifar10", method="r-darts-dp").resolved().cutout == 16


# Drop-path


def dropping(epoch: int, *, epochs: int = 50, **values: Any) -> DropPathDarts:
    method = method_of(SearchConfig(dataset="digits", method="r-darts-dp", epochs=epochs, **values).resolved())
    assert isinstance(method, DropPathDarts)
    method.begin_epoch(epoch)
    method.begin_pass("weights")
    return method


def test_the_probabilities_are_linear_from_0_in_the_first_epoch_to_their_ends_in_the_last() -> None:
    found = [(dropping(e, drop_path=0.6).rate, dropping(e).cutout_probability) for e in (1, 26, 50)]
    assert [rate for rate, _ in found] == pytest.approx([0, 0.6 * 25 / 49, 0.6])
    assert [cut for _, cut in found] == pytest.approx([0, 25 / 49, 1])


def test_each_sample_drops_each_edge_of_each_cell_alone_with_the_rate() -> None:
    cells, samples, edges, rate = 5, 1000, 20, 0.4
    factors = dropping(50, drop_path=rate).path_factors(cells, edges, torch.zeros(samples, 1, dtype=torch.float64))
    assert factors is not None
    assert factors.shape == (cells, samples, edges)
    assert set(factors.flatten().tolist()) == {0.0, 1 / (1 - rate)}
    dropped = factors == 0
    assert scipy.stats.binomtest(int(dropped.sum()), dropped.numel(), rate).pvalue > 1e-4
    # Pairs along each axis are dropped together as often as independent ones.
    for axis in range(3):
        both = (dropped & dropped.roll(1, axis)).sum()
        assert scipy.stats.binomtest(int(both), dropped.numel(), rate**2).pvalue > 1e-4
    # The factors' mean is 1, within 4 standard errors.
    assert abs(factors.mean().item() - 1) < 4 * factors.std().item() / factors.numel() ** 0.5


def test_factors_differ_by_epoch_step_pass_and_forward_and_by_nothing_else() -> None:
    images = torch.zeros(16, 1)

    def drawn(epoch: int, step: int, of: Any, forwards: int = 1, **values: Any) -> tuple[float, ...]:
        method = dropping(epoch, drop_path=0.5, **values)
        method.begin_step(step)
        method.begin_pass(of)
        for _ in range(forwards):
            factors = method.path_factors(3, 5, images)
        assert factors is not None
        return tuple((factors != 0).flatten().tolist())

    first = drawn(30, 7, "alphas")
    assert first == drawn(30, 7, "alphas")
    others = [drawn(31, 7, "alphas"), drawn(30, 8, "alphas"), drawn(30, 7, "weights"), drawn(30, 7, "alphas", 2)]
    assert len({first, *others, drawn(30, 7, "alphas", seed=1)}) == 6
    # A second-order alpha step takes differences of passes, which drop the same edges.
    assert drawn(30, 7, "alphas", 3, order=2) == drawn(30, 7, "alphas", order=2)
    assert drawn(30, 7, "weights", 3, order=2) != drawn(30, 7, "weights", order=2)


def test_nothing_is_dropped_in_measurements_or_in_the_first_epoch() -> None:
    method = dropping(50)
    method.begin_pass("measuring")
    assert method.path_factors(3, 5, torch.zeros(4, 1)) is None
    assert dropping(1).path_factors(3, 5, torch.zeros(4, 1)) is None


@pytest.mark.parametrize("backend", [TorchBackend, ChannelsLastBackend, CpuBackend])
@pytest.mark.parametrize("side", [8, 7])
def test_the_fused_cell_drops_what_the_plain_one_drops(
    side: int, backend: type[CellBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend is CpuBackend and not loader.available():
        pytest.skip("no compiler, no kernels")
    monkeypatch.setattr(dispatch, "_backend_for", lambda *_: backend())
    images = torch.randn(5, 1, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 2, 0, 1])
    found: list[list[Tensor]] = []
    for fused in (False, True):
        method = dropping(50, drop_path=0.4)
        torch.manual_seed(0)
        net = SearchNetwork(
            CNN_PRIMITIVES, channels=4, layers=3, classes=3, nodes=3, image_channels=1, fused=fused, method=method
        ).double()
        logits = net(images)
        gradients = torch.autograd.grad(
            F.cross_entropy(logits, labels), [*net.alphas.values(), *net.weights()], materialize_grads=True
        )
        found.append([logits.detach(), *gradients, *net.buffers()])
        method.begin_pass("measuring")
        assert not torch.equal(net(images), logits)
    for plain, other in zip(*found, strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-9, atol=1e-11)


def test_a_dropped_edge_gives_its_node_nothing_of_that_sample() -> None:
    torch.manual_seed(0)
    net = SearchNetwork(["sep_conv_3x3"], channels=4, layers=1, classes=2, nodes=1, reductions=()).double()
    [cell] = net.cells
    images = torch.randn(3, 12, 8, 8, dtype=torch.float64)
    weights = torch.ones(2, 1, dtype=torch.float64)
    factors = torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    out = cell(images, images, weights, path_factors=factors)
    whole, second = cell(images, images, weights), cell(images, images, torch.tensor([[0.0], [1.0]]).double())
    torch.testing.assert_close(out[0], whole[0])
    torch.testing.assert_close(out[1], second[1])
    assert not out[2].any()


def test_cutout_is_applied_with_its_probability() -> None:
    settings = Augmentation(crop_padding=0, flip=False, cutout=4)
    draws = draw(settings, 4000, (8, 8), 0, "training", 0, device=torch.device("cpu"))
    images = torch.ones(4000, 1, 8, 8)
    cut = (cut_out(images, draws, settings, 0.3) == 0).flatten(1).any(1)
    assert scipy.stats.binomtest(int(cut.sum()), 4000, 0.3).pvalue > 1e-4
    always = cut_out(images, draws, settings)
    assert torch.equal(cut_out(images, draws, settings, 0.3)[cut], always[cut])
    assert torch.equal(cut_out(images, draws, settings, 0.0), images)
    assert bool((always == 0).flatten(1).any(1).all())


def test_both_parts_of_the_images_are_cut_with_the_probability_of_the_epoch(
    search_config: MakeSearch, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    def spy(images: Tensor, draws: Draws, augmentation: Augmentation, probability: float) -> Tensor:
        seen.append(probability)
        return cut_out(images, draws, augmentation, probability)

    monkeypatch.setattr("darts_core.data.batches.cut_out", spy)
    searched(search_config(method="r-darts-dp", cutout=4, batch_size=10), data_root)
    # Two steps an epoch, each with a batch of both parts.
    assert seen == [0.0] * 4 + [0.5] * 4 + [1.0] * 4


# The authors' rule

# Eigenvalues after the epochs 2, 4, ..., 28, and by hand the means of the last five (of fewer after 6 and 8).
SERIES = [5.0, 1.0, 3.0, 3.0, 3.0, 1.0, 2.0, 1.0, 3.0, 3.0, 3.0, 2.5, 4.0, 3.5]
MEANS = {6: 3.0, 8: 3.0, 10: 3.0, 12: 2.2, 14: 2.4, 16: 2.0, 18: 2.0, 20: 2.0, 22: 2.4, 24: 2.5, 26: 3.1, 28: 3.2}


def test_windows_are_four_measurements_apart_and_the_first_ones_are_smaller() -> None:
    found = {2 * n: AUTHORS.growth(SERIES[:n]) for n in range(1, len(SERIES) + 1)}
    assert [found[epoch] for epoch in (2, 4, 6, 8, 10, 12)] == [None] * 6
    for epoch in range(14, 29, 2):
        assert found[epoch] == pytest.approx(MEANS[epoch] / MEANS[epoch - 8])
    assert found[26] == pytest.approx(1.55)


@pytest.mark.parametrize(
    ("limit", "first", "last", "expected"),
    [
        # 2.5 / 2.0 after 24 is below the limit, 3.1 / 2.0 after 26 above it: 26 - 12.
        (1.3, 10, 50, (26, 14)),
        (1.2, 10, 50, (24, 12)),
        (1.3, 15, 50, (28, 16)),
        (1.3, 10, 26, None),
        (1.7, 10, 50, None),
    ],
)
def test_the_rule_goes_back_six_measurements(
    limit: float, first: int, last: int, expected: tuple[int, int] | None
) -> None:
    rule = GrowthRule(limit, first, last)
    epochs = range(2, min(last, 28) + 1, 2)
    measured = dict(zip(epochs, SERIES, strict=False))
    targets = {e: rule.target({k: v for k, v in measured.items() if k <= e}) for e in epochs}
    found = next(((epoch, target) for epoch, target in targets.items() if target is not None), None)
    assert found == expected


def test_the_soonest_epoch_is_six_measurements_behind_the_first_to_go_back_to() -> None:
    assert [GrowthRule(1.3, 10, 50).soonest(every) for every in (1, 2, 3)] == [16, 22, 30]


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"method": "darts", "growth_limit": 1.3}, "growth_limit", "r-darts-es, r-darts-ada, not of darts"),
        ({"method": "r-darts-es", "weight_decay_max": 1}, "weight_decay_max", "of r-darts-ada, not of r-darts-es"),
        ({"method": "r-darts-ada", "weight_decay": 0.1}, "weight_decay_max", "is below weight_decay, 0.1"),
        ({"method": "r-darts-es", "stop_when": {"eigenvalue_growth": ">2"}}, "stop_when", "has growth_limit for it"),
    ],
)
def test_it_refuses_by_name(values: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SearchConfig(dataset="digits", **values).resolved()
    assert [(p.loc[0], message in p.msg) for p in caught.value.problems] == [(field, True)]


@pytest.mark.parametrize("method", ["r-darts-dp", "r-darts-es", "r-darts-ada"])
def test_it_refuses_several_gpus(method: str) -> None:
    config = SearchConfig(dataset="digits", method=method).resolved()
    with pytest.raises(ConfigError, match=f"{method} searches on 1 GPU, not on 2"):
        config.check_gpus(2)


# The early stop


@pytest.fixture
def growing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An eigenvalue that is 1 up to the 7th step of the series and 3 behind it, also in epochs that run again."""
    monkeypatch.setattr(
        "darts_core.training.image_search.ImageSearch._eigenvalue", lambda run: 1.0 if run._pass_epoch <= 7 else 3.0
    )


WATCHED: dict[str, Any] = {"alpha_lr": 0.1, "hessian_every": 1, "growth_limit": 1.3, "rollback_from": 2}


@pytest.mark.usefixtures("growing")
def test_a_search_that_stops_returns_the_earlier_cell_and_so_does_a_resumed_one(
    search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(method="r-darts-es", epochs=20, **WATCHED)
    undisturbed = searched(config, data_root)
    last = undisturbed[-1]
    # Epoch 8: (4 * 1 + 3) / 5 of the four first ones' 1; its window's fellow is around 2.
    assert last.epoch == 8
    assert [r.metrics.get("eigenvalue_growth") for r in undisturbed] == [*[None] * 6, 1.0, pytest.approx(1.4)]
    assert last.metrics["rolled_back_to"] == 2
    assert last.stopped_early == "eigenvalue_growth is 1.4 (>1.3); the cell is that of epoch 2, before it grew"
    assert_same_bits(last.alphas, undisturbed[1].alphas)
    assert last.genotype == undisturbed[1].genotype
    undisturbed[5].save(tmp_path / "c.pt")
    resumed = list(run_search(config, data_root=data_root, resume_from=checkpoints.read(tmp_path / "c.pt")))
    assert [r.epoch for r in resumed] == [7, 8]
    assert_same_bits(last.checkpoint, resumed[-1].checkpoint)


# The rising weight decay


def decays(reports: list[EpochReport]) -> list[float]:
    return [report.metrics["weight_decay"] for report in reports]


@pytest.mark.usefixtures("growing")
@pytest.mark.parametrize(("fused", "order"), [(True, 1), (False, 1), (True, 2)])
def test_a_search_goes_back_to_the_bits_of_the_earlier_epoch_and_decays_its_weights_more(
    fused: bool, order: int, search_config: MakeSearch, data_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "darts_core")
    config = search_config(
        method="r-darts-ada", epochs=10, fused=fused, order=order, weight_decay_max=3 * 3e-4, **WATCHED
    )
    reports = searched(config, data_root)
    assert [r.epoch for r in reports] == list(range(1, 11))
    eighth, second = reports[7], reports[1]
    assert eighth.metrics["rolled_back_to"] == 2
    assert [r.epoch for r in reports if "rolled_back_to" in r.metrics] == [8]
    for part in ("weights", "alphas"):
        assert_same_bits(eighth.checkpoint[part], second.checkpoint[part])
    now, then = eighth.checkpoint["resume"], second.checkpoint["resume"]
    assert_same_bits(now["alpha_optimizer"], then["alpha_optimizer"])
    assert_same_bits(now["weight_optimizer"]["state"], then["weight_optimizer"]["state"])
    assert now["weight_optimizer"]["param_groups"][0]["weight_decay"] == 9e-4
    assert decays(reports) == pytest.approx([3e-4] * 8 + [9e-4] * 2)
    # Epoch 9 trains 3 to 8 again, and then itself.
    assert reports[8].checkpoint["resume"]["step"] - now["step"] == 7 * second.checkpoint["resume"]["step"] // 2
    again = [text.split(":")[0] for text in caplog.messages if "again" in text]
    assert again == [f"epoch {number} again" for number in range(3, 9)]
    assert sum("goes back to the end of epoch 2" in text for text in caplog.messages) == 1


@pytest.mark.usefixtures("growing")
def test_the_weight_decay_rises_to_its_maximum_at_most(search_config: MakeSearch, data_root: Path) -> None:
    """Each roll back ends in the same growth, within epoch 9, until the decay is the maximum."""
    config = search_config(method="r-darts-ada", epochs=10, weight_decay_factor=4, weight_decay_max=1e-2, **WATCHED)
    reports = searched(config, data_root)
    # 3e-4, then 12e-4 and 48e-4 within epoch 9, whose end has 1e-2.
    assert decays(reports) == pytest.approx([3e-4] * 8 + [1e-2] * 2)
    assert [r.metrics.get("rolled_back_to") for r in reports[7:]] == [2, None, None]
    steps = [r.checkpoint["resume"]["step"] for r in reports]
    assert (steps[8] - steps[7]) / steps[0] == 6 + 6 + 6 + 1
    # At the maximum no state is kept.
    assert reports[-1].checkpoint["resume"]["adaptive"]["states"] == {}


@pytest.mark.usefixtures("growing")
def test_the_raised_weight_decay_is_that_of_the_steps_behind_it(search_config: MakeSearch, data_root: Path) -> None:
    less, more = (
        searched(
            search_config(method="r-darts-ada", epochs=9, weight_decay_factor=100, weight_decay_max=most, **WATCHED),
            data_root,
        )
        for most in (1e-3, 3e-2)
    )
    assert_same_bits(less[7].checkpoint["weights"], more[7].checkpoint["weights"])
    norms = [sum(t.float().square().sum() for t in r[8].checkpoint["weights"].values()) for r in (less, more)]
    assert norms[1] < norms[0]


@pytest.mark.usefixtures("growing")
@pytest.mark.slow
def test_a_search_stopped_at_any_step_ends_bit_for_bit_like_an_undisturbed_one(
    search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    """Before and right behind the roll back, in epochs that run again, at their ends, and behind them."""
    config = search_config(
        method="r-darts-ada",
        epochs=10,
        weight_decay_max=27e-4,
        checkpoint_seconds=AT_EVERY_STEP,
        batch_size=10,
        **WATCHED,
    )
    control = Recorder()
    undisturbed = list(run_search(config, data_root=data_root, control=control))
    kept = control.kept
    # Some of the steps, all those of two passes, and the ends of all epochs.
    for place in [*range(0, len(kept), 5), *range(16, 21), len(kept) - 1]:
        checkpoints.save(kept[place], tmp_path / "middle.pt")
        resumed = list(run_search(config, data_root=data_root, resume_from=checkpoints.read(tmp_path / "middle.pt")))
        assert [r.epoch for r in resumed] == list(range(kept[place]["epoch"] + 1, 11))
        assert_same_bits(undisturbed[-1].checkpoint, resumed[-1].checkpoint)
    for report in undisturbed[6:9]:
        report.save(tmp_path / "end.pt")
        resumed = list(run_search(config, data_root=data_root, resume_from=checkpoints.read(tmp_path / "end.pt")))
        assert_same_bits(undisturbed[-1].checkpoint, resumed[-1].checkpoint)


@pytest.mark.usefixtures("growing")
def test_a_search_stopped_within_an_epoch_that_runs_again_goes_on_there(
    search_config: MakeSearch, data_root: Path
) -> None:
    config = search_config(method="r-darts-ada", epochs=9, weight_decay_max=9e-4, **WATCHED)
    undisturbed = searched(config, data_root)
    control = Recorder()
    reports = run_search(config, data_root=data_root, control=control)
    for _ in range(8):
        next(reports)
    control.stop_after = control.asked + 6
    with pytest.raises(Stopped):
        next(reports)
    [last] = run_search(config, data_root=data_root, resume_from=control.kept[-1])
    assert_same_bits(undisturbed[-1].checkpoint, last.checkpoint)


def test_a_search_too_short_for_the_rule_says_from_where_it_holds(
    search_config: MakeSearch, data_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "darts_core")
    searched(search_config(method="r-darts-es", epochs=1), data_root)
    assert "the eigenvalue is compared from epoch 22 on, and the last is 1" in caplog.messages
