"""The guard against collapse: when it acts, what it does, and a resumed search that does the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.configs.methods import METHODS
from darts_core.configs.selection import perturbation_of
from darts_core.errors import ConfigError, Stopped
from darts_core.files import checkpoints
from darts_core.methods.registry import method_of
from darts_core.training.collapse_guard import Action, CollapseGuard
from darts_core.training.reports import EpochReport
from tests.support.recorder import AT_EVERY_STEP, Recorder
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]
Metrics = dict[str, float]


def _guard(epochs: int) -> CollapseGuard:
    return CollapseGuard(lambda epoch: epochs)


def guarded(
    *shares: float, epochs: int = 100, guard: CollapseGuard | None = None, first: int = 1, also: Metrics | None = None
) -> list[Action | None]:
    """What a guard does in epochs with these `idle_share`s, and `also` in every one of them."""
    guard = guard or _guard(epochs)
    return [
        guard.update(
            epoch,
            {"decision_margin": 0.5, "certainty": 0.3, "idle_share": share, **(also or {})},
            collapsed=share > 0.5 or "noise_edges" in (also or {}),
            state=dict,
        )
        for epoch, share in enumerate(shares, first)
    ]


def acted(actions: list[Action | None]) -> dict[int, int | None]:
    """The epochs it goes back to, by those in which it acts."""
    return {epoch: action.back_to for epoch, action in enumerate(actions, 1) if action is not None}


def test_it_goes_back_to_the_last_good_epoch_and_the_second_time_stops_with_it() -> None:
    guard = _guard(100)
    actions = guarded(0.2, 0.1, 0.4, 0.6, 0.7, 0.25, 0.6, 0.6, guard=guard)
    assert acted(actions) == {5: 2, 8: 6}
    assert [action.text for action in actions if action is not None] == [
        "guard: idle_share is 0.7 (>0.5); goes back to the end of epoch 2, and penalises large alphas from here on",
        "guard: idle_share is 0.6 (>0.5) again; the cell is that of epoch 6",
    ]
    assert guard.stopped == "guard: idle_share is 0.6 (>0.5) again; the cell is that of epoch 6"


def test_a_sign_in_a_single_epoch_is_no_collapse() -> None:
    assert acted(guarded(0.2, 0.7, 0.5, 0.7, 0.5)) == {}


def test_without_a_good_epoch_it_goes_back_to_the_last_that_had_not_collapsed() -> None:
    assert acted(guarded(0.5, 0.4, 0.6, 0.6)) == {4: 2}


def test_without_any_such_epoch_it_penalises_and_goes_on() -> None:
    guard = _guard(100)
    actions = guarded(*[0.7] * 6, guard=guard)
    assert acted(actions) == {2: None}
    assert "no epoch before is better, and penalises" in str(actions[1])
    assert guard.penalises
    assert guard.stopped is None


def test_undecided_cells_have_not_collapsed_and_are_not_good() -> None:
    guard = _guard(100)
    assert acted(guarded(0.1, 0.9, 0.9, 0.9, guard=guard, also={"decision_margin": 0.009})) == {}
    assert acted(guarded(0.5, 0.7, 0.7, guard=guard, first=5)) == {3: 5}


def test_alphas_that_are_certain_are_a_sign_in_the_first_half_of_the_epochs_alone() -> None:
    assert acted(guarded(*[0.1] * 10, epochs=10, also={"certainty": 0.8})) == {2: None}
    assert acted(guarded(*[0.1] * 5, epochs=10, guard=_guard(10), first=6, also={"certainty": 0.8})) == {}


def test_noise_is_a_sign_in_the_second_half_alone() -> None:
    assert acted(guarded(*[0.1] * 10, epochs=10, also={"noise_edges": 1})) == {7: None}


def test_an_eigenvalue_counts_in_the_epochs_that_measure_it() -> None:
    guard = _guard(100)
    found: dict[int, int | None] = {}
    for epoch in range(1, 9):
        measured = {"eigenvalue_growth": 1.0 if epoch < 4 else 1.4} if epoch % 2 == 0 else {}
        [action] = guarded(0.1, guard=guard, first=epoch, also=measured)
        found |= {} if action is None else {epoch: action.back_to}
    # Measured after 4 and 6; the epoch between them was good by what is known of it.
    assert found == {6: 5}


def test_a_search_that_ends_in_a_collapsed_cell_answers_an_earlier_one() -> None:
    actions = guarded(0.1, 0.4, 0.6, epochs=3)
    assert acted(actions) == {3: 1}
    assert "the last cell has collapsed; the cell is that of epoch 1" in str(actions[2])
    assert acted(guarded(0.6, epochs=1)) == {}


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"method": "r-darts-es"}, "guard", "r-darts-es stops or goes back by itself: leave it out"),
        ({"method": "r-darts-ada"}, "guard", "r-darts-ada stops or goes back by itself: leave it out"),
        ({"method": "rsps"}, "guard", "rsps trains no alphas"),
        ({"method": "p-darts"}, "guard", "p-darts searches in stages"),
        ({"method": "fair-darts"}, "guard", "fair-darts has no softmax"),
        ({"stop_when": {"skip_connects": ">2"}}, "stop_when", "the guard decides when the search stops"),
    ],
)
def test_it_is_refused_by_name_where_it_has_nothing_to_watch_or_move(
    values: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        SearchConfig(dataset="digits", guard="auto", **values).resolved()
    assert [(p.loc[0], message in p.msg) for p in caught.value.problems] == [(field, True)]


def test_it_takes_the_methods_with_a_softmax_of_alphas_in_one_stage() -> None:
    def takes(name: MethodName) -> bool:
        try:
            SearchConfig(dataset="digits", guard="auto", method=name).resolved()
        except ConfigError:
            return False
        return True

    expected = "darts beta-darts gdas snas sdarts-rs sdarts-adv darts-minus pc-darts r-darts-l2 r-darts-dp"
    assert [name for name in METHODS if takes(name)] == expected.split()


def test_a_selection_does_not_inherit_its_searchs_guard() -> None:
    search = SearchConfig(dataset="digits", guard="auto").resolved()
    assert perturbation_of(search, 1, {}).guard == "off"


def test_its_penalty_is_beta_darts_with_its_authors_weight() -> None:
    def made(name: MethodName) -> Any:
        method = method_of(SearchConfig(dataset="digits", method=name, epochs=50).resolved())
        method.begin_epoch(26)
        return method

    alphas = {"normal": torch.tensor([[0.5, -1.0, 2.0]]), "reduce": torch.tensor([[0.0, 0.0, 0.0]])}
    ours = made("darts")
    found = ours.beta_penalty(alphas, ours.beta_strength(25))
    assert torch.equal(found, made("beta-darts").alpha_penalty(alphas))
    # The alphas of whole edges are of no operation.
    assert torch.equal(ours.beta_penalty({**alphas, "normal_edges": torch.ones(1, 1)}, 12.5), found)


def collapsing(make: MakeSearch, **changes: Any) -> SearchConfig:
    """A search whose target leaves skip-connections alone, once the alphas are trained: from its third epoch on."""
    values: dict[str, Any] = {
        "epochs": 9,
        "weights_only_epochs": 2,
        "alpha_lr": 0.1,
        "primitives": ["dil_conv_3x3", "skip_connect"],
        "target": {"parameters": {"weight": 1000}},
        "guard": "auto",
    }
    return make(**{**values, **changes})


def searched(config: SearchConfig, data_root: Path) -> list[EpochReport]:
    return list(run_search(config, data_root=data_root))


@pytest.mark.parametrize("fused", [True, False])
def test_a_search_that_collapses_is_rolled_back_and_then_stopped(
    fused: bool, search_config: MakeSearch, data_root: Path
) -> None:
    reports = searched(collapsing(search_config, fused=fused), data_root)
    assert [r.metrics.get("rolled_back_to") for r in reports] == [None, None, None, 2, None, 2]
    second, fourth, last = reports[1], reports[3], reports[5]
    assert "goes back to the end of epoch 2, and penalises" in " ".join(fourth.warnings)
    assert last.stopped_early == "guard: idle_share is 1 (>0.5) again; the cell is that of epoch 2"
    assert last.stopped_early in last.warnings
    for report in (fourth, last):
        assert report.genotype == second.genotype
        for part in ("weights", "alphas"):
            assert_same_bits(report.checkpoint[part], second.checkpoint[part])
        for optimizer in ("weight_optimizer", "alpha_optimizer"):
            assert_same_bits(
                report.checkpoint["resume"][optimizer]["state"], second.checkpoint["resume"][optimizer]["state"]
            )
    # beta-DARTS' lambda: half the epochs times the share that has passed.
    assert [r.metrics["guard_penalty"] for r in reports] == [0, 0, 0, 0, 2, 2.5]
    assert [r.metrics["idle_share"] for r in reports[2::2]] == [1, 1]


def test_until_it_acts_a_search_is_the_same_as_without_a_guard(search_config: MakeSearch, data_root: Path) -> None:
    with_it = searched(collapsing(search_config, epochs=4), data_root)
    without = searched(collapsing(search_config, epochs=4, guard="off"), data_root)
    for one, other in zip(with_it[:3], without[:3], strict=True):
        assert_same_bits(one.checkpoint["weights"], other.checkpoint["weights"])
        assert_same_bits(one.alphas, other.alphas)


def test_its_penalty_moves_the_alphas_behind_the_epoch_it_goes_back_to(
    search_config: MakeSearch, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    penalised = searched(collapsing(search_config), data_root)
    monkeypatch.setattr("darts_core.models.alpha_network.AlphaNetwork.guard_penalty", 0.0)
    plain = searched(collapsing(search_config), data_root)
    assert_same_bits(penalised[3].alphas, plain[3].alphas)
    for one, other in zip(*(found[4].checkpoint["alphas"].values() for found in (penalised, plain)), strict=True):
        assert not torch.equal(one, other)


@pytest.mark.parametrize("method", ["gdas", "darts-minus", "pc-darts", "beta-darts"])
def test_other_methods_are_rolled_back_and_stopped_as_well(
    method: str, search_config: MakeSearch, data_root: Path
) -> None:
    channels = 4 if method == "pc-darts" else 2
    reports = searched(collapsing(search_config, method=method, channels=channels), data_root)
    assert [r.metrics.get("rolled_back_to") for r in reports] == [None, None, None, 2, None, 2]
    assert_same_bits(reports[5].checkpoint["weights"], reports[1].checkpoint["weights"])


def test_a_search_resumed_behind_any_epoch_ends_bit_for_bit_like_an_undisturbed_one(
    search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = collapsing(search_config)
    undisturbed = searched(config, data_root)
    for report in undisturbed:
        report.save(tmp_path / "end.pt")
        resumed = list(run_search(config, data_root=data_root, resume_from=checkpoints.read(tmp_path / "end.pt")))
        assert [r.epoch for r in resumed] == list(range(report.epoch + 1, len(undisturbed) + 1))
        for ours, other in zip(resumed, undisturbed[report.epoch :], strict=True):
            assert_same_bits(ours.checkpoint, other.checkpoint)
            assert (ours.stopped_early, ours.warnings) == (other.stopped_early, other.warnings)


@pytest.mark.parametrize("epoch", [2, 4, 5, 6])
def test_a_search_killed_within_an_epoch_ends_bit_for_bit_like_an_undisturbed_one(
    epoch: int, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    """Before the alphas train, in the epochs that end in an action, and in the first one with the penalty."""
    config = collapsing(search_config, checkpoint_seconds=AT_EVERY_STEP)
    undisturbed = searched(config, data_root)
    control = Recorder()
    reports = run_search(config, data_root=data_root, control=control)
    for _ in range(epoch - 1):
        next(reports)
    control.stop_after = control.asked + 1
    with pytest.raises(Stopped):
        next(reports)
    checkpoints.save(control.kept[-1], tmp_path / "middle.pt")
    resumed = list(run_search(config, data_root=data_root, resume_from=checkpoints.read(tmp_path / "middle.pt")))
    assert [r.epoch for r in resumed] == list(range(epoch, len(undisturbed) + 1))
    assert_same_bits(resumed[-1].checkpoint, undisturbed[-1].checkpoint)
    assert resumed[-1].stopped_early == undisturbed[-1].stopped_early


def test_behind_the_epoch_it_goes_back_to_the_eigenvalues_are_forgotten(
    search_config: MakeSearch, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ten measurements from the start alone, a growth comes ten epochs after it at the soonest."""
    monkeypatch.setattr("darts_core.training.image_search.ImageSearch._eigenvalue", lambda run: float(run.epoch))
    config = collapsing(search_config, epochs=14, weights_only_epochs=10, hessian_every=1)
    reports = searched(config, data_root)
    rolled_back = next(r for r in reports if "rolled_back_to" in r.metrics)
    assert "eigenvalue_growth" in rolled_back.metrics
    later = [r for r in reports if r.epoch > rolled_back.epoch]
    # The windows of the next epoch end with its own measurement and skip the forgotten ones.
    kept = [float(e) for e in range(1, int(rolled_back.metrics["rolled_back_to"]) + 1)] + [float(later[0].epoch)]
    expected = sum(kept[-5:]) / sum(kept[-10:-5]) if len(kept) >= 10 else None
    assert later[0].metrics.get("eigenvalue_growth") == (None if expected is None else pytest.approx(expected))
