"""Searches in stages: their epochs and operations, kills within and between them, and P-DARTS' rules."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.configs.stages import Stage, stages_of
from darts_core.errors import ConfigError, Stopped
from darts_core.files import checkpoints
from darts_core.files.checkpoints import Checkpoint
from darts_core.files.loading import load
from darts_core.genotypes import Genotype
from darts_core.genotypes.derive import strongest
from darts_core.genotypes.edges import Edge
from darts_core.genotypes.skip_limit import with_fewer_skips
from darts_core.methods.p_darts import PDarts
from darts_core.methods.registry import method_of
from darts_core.models.operations import DroppedSkip
from darts_core.models.supernet import SearchNetwork
from darts_core.training.reports import EpochReport
from tests.support.recorder import AT_EVERY_STEP, Recorder
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]

PRIMITIVES = ["none", "max_pool_3x3", "skip_connect", "dil_conv_3x3"]
SMALL: dict[str, Any] = {
    "method": "p-darts",
    "epochs": 5,
    "stage_operations": [4, 3, 2],
    "stage_added_layers": [0, 1, 2],
    "weights_only_epochs": 0,
}


def searched(config: SearchConfig, data_root: Path) -> list[EpochReport]:
    return list(run_search(config, data_root=data_root))


def kept(checkpoint: Checkpoint) -> dict[str, list[list[bool]]]:
    """The operations of each edge, by kind of cell."""
    return {kind: table.tolist() for kind, table in checkpoint["method"].items() if kind != "stage"}


def test_p_darts_takes_its_authors_values_on_cifar10() -> None:
    spec = SearchConfig(dataset="cifar10", method="p-darts").resolved()
    assert stages_of(dict(spec)) == (
        Stage(0, 1, 25, 5, 8, 1, 0.1),
        Stage(1, 26, 50, 11, 5, 1, 0.4),
        Stage(2, 51, 75, 17, 3, 1, 0.7),
    )
    assert (spec.weights_only_epochs, spec.most_skip_connects, spec.alpha_grad_clip) == (10, 2, 5)
    assert (spec.batch_size, spec.weight_lr_min, spec.alpha_lr) == (96, 0, 6e-4)


def test_stages_are_scaled_to_few_epochs_and_primitives() -> None:
    spec = SearchConfig(dataset="digits", method="p-darts", epochs=2, primitives=["none", "skip_connect"]).resolved()
    assert [(stage.first, stage.last, stage.operations) for stage in stages_of(dict(spec))] == [(1, 1, 2), (2, 2, 2)]
    assert spec.resolved() == spec


@pytest.mark.parametrize(
    ("values", "place", "message"),
    [
        ({"epochs": 2, "stage_operations": [8, 5, 3]}, "stage_operations", "3 stages need 3 epochs or more"),
        ({"stage_operations": [9]}, "stage_operations", "9 operations on an edge, and there are 8"),
        ({"stage_operations": [5, 8]}, "stage_operations", "no stage has more operations than the one before it"),
        ({"stage_added_layers": [0]}, "stage_added_layers", "has 1 values for 3 stages"),
        ({"stage_added_layers": [0, 0, 98]}, "stage_added_layers", "a network has 1 to 100 layers"),
        ({"weights_only_epochs": 2}, "weights_only_epochs", "2 of 2 epochs of a stage leave none"),
        ({"stop_when": {"eigenvalue_growth": ">1"}, "hessian_every": 1}, "stop_when", "whose stage is gone"),
        (
            {"method": "darts", "stage_operations": [8]},
            "stage_operations",
            "is a field of drnas-progressive, p-darts, not of darts",
        ),
        ({"method": "drnas", "most_skip_connects": 2}, "most_skip_connects", "is a field of p-darts"),
    ],
)
def test_stages_are_refused_by_name(values: dict[str, Any], place: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SearchConfig(**{"dataset": "digits", "method": "p-darts", **values}).resolved()
    assert message in {str(problem.loc[0]): problem.msg for problem in caught.value.problems}[place]


def test_operations_shrink_to_subsets_and_the_cell_is_made_of_the_last_ones(
    search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    reports = searched(search_config(**SMALL, most_skip_connects=1), data_root)
    assert [int(report.checkpoint["method"]["stage"]) for report in reports] == [0, 1, 1, 2, 2]
    lists = [kept(report.checkpoint) for report in reports]
    assert not lists[0]
    for earlier, later, count in ((lists[1], lists[2], 3), (lists[2], lists[3], 2), (lists[3], lists[4], 2)):
        for kind in ("normal", "reduce"):
            for before, after in zip(earlier[kind], later[kind], strict=True):
                assert sum(after) == (3 if later is lists[2] else count)
                assert all(was for was, stays in zip(before, after, strict=True) if stays)
    last = reports[-1]
    assert last.alphas is not None
    for kind, rows in lists[-1].items():
        assert torch.equal(last.alphas[kind] != 0, torch.tensor(rows))
        assert ((torch.tensor(last.checkpoint["strengths"][kind]) > 0) == torch.tensor(rows)).all()
    assert last.metrics["skip_connects"] <= 1
    last.save(tmp_path / "search.pt")
    network = load(tmp_path / "search.pt").network
    assert isinstance(network, SearchNetwork)
    assert len(network.cells) == 5
    assert network.genotype() == last.genotype
    assert network.strengths() == last.checkpoint["strengths"]


def test_a_stage_drops_the_weakest_operations_of_the_one_before(search_config: MakeSearch, data_root: Path) -> None:
    reports = searched(search_config(**SMALL), data_root)
    before = reports[0].alphas
    assert before is not None
    for kind, rows in kept(reports[1].checkpoint).items():
        for alphas, present in zip(before[kind], rows, strict=True):
            assert present.index(False) == int(alphas.argmin())


def test_each_stage_has_new_alphas_and_its_own_schedule(search_config: MakeSearch, data_root: Path) -> None:
    config = search_config(
        **{**SMALL, "epochs": 6, "stage_added_layers": [0, 0, 0], "weights_only_epochs": 1, "weight_lr_min": 0.01}
    )
    reports = searched(config, data_root)
    assert [report.metrics["weight_lr"] for report in reports] == pytest.approx([0.05, 0.03] * 3)
    for first, second in zip(reports[::2], reports[1::2], strict=True):
        assert first.alphas is not None
        assert second.alphas is not None
        # Each stage's first epoch trains the weights alone.
        assert max(float(table.abs().max()) for table in first.alphas.values()) < 6e-3
        assert not torch.equal(first.alphas["normal"], second.alphas["normal"])


@pytest.mark.parametrize("stop_at", [1, 4, 6, 7, 11])
def test_a_search_killed_in_or_between_stages_ends_bit_for_bit_like_an_undisturbed_one(
    stop_at: int, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(
        **{**SMALL, "epochs": 4, "stage_operations": [4, 2]}
        | {"stage_added_layers": [0, 1], "stage_skip_dropout": [0.2, 0.5], "checkpoint_seconds": AT_EVERY_STEP}
    )
    undisturbed = searched(config, data_root)
    control = Recorder(stop_at=stop_at)
    latest: Checkpoint | None = None
    with contextlib.suppress(Stopped):
        for report in run_search(config, data_root=data_root, control=control):
            latest = report.checkpoint
    assert len(control.told) == stop_at
    if control.kept and (latest is None or control.kept[-1]["resume"]["step"] > latest["resume"]["step"]):
        latest = control.kept[-1]
    assert latest is not None
    checkpoints.save(latest, tmp_path / "middle.pt")
    resumed = list(run_search(config, data_root=data_root, resume_from=checkpoints.read(tmp_path / "middle.pt")))
    assert_same_bits(undisturbed[-1].checkpoint, resumed[-1].checkpoint)


def test_p_darts_with_one_stage_no_dropout_and_all_operations_is_darts_bit_for_bit(
    search_config: MakeSearch, data_root: Path
) -> None:
    plain = searched(search_config(epochs=3), data_root)
    neutral = search_config(
        epochs=3,
        method="p-darts",
        stage_operations=[4],
        stage_added_layers=[0],
        stage_skip_dropout=[0],
        weights_only_epochs=0,
        most_skip_connects=24,
    )
    for one, other in zip(plain, searched(neutral, data_root), strict=True):
        assert_same_bits(one.checkpoint["alphas"], other.checkpoint["alphas"])
        assert_same_bits(one.checkpoint["weights"], other.checkpoint["weights"])
        assert one.metrics == other.metrics
        assert one.genotype == other.genotype


def test_the_dropouts_own_path_agrees_with_darts_at_a_vanishing_rate(
    search_config: MakeSearch, data_root: Path
) -> None:
    plain = searched(search_config(epochs=2, precision="float64"), data_root)[-1]
    dropped = search_config(
        epochs=2,
        precision="float64",
        method="p-darts",
        stage_operations=[4],
        stage_added_layers=[0],
        stage_skip_dropout=[1e-300],
        weights_only_epochs=0,
        most_skip_connects=24,
    )
    found = searched(dropped, data_root)[-1]
    for kind, table in plain.checkpoint["alphas"].items():
        torch.testing.assert_close(found.checkpoint["alphas"][kind], table, rtol=0, atol=1e-10)


def test_the_rate_of_dropout_falls_linearly_then_exponentially() -> None:
    method = method_of(SearchConfig(dataset="cifar10", method="p-darts").resolved())
    assert isinstance(method, PDarts)
    method.stage = method.stages[1]
    rates = []
    for epoch in range(26, 51):
        method.begin_epoch(epoch)
        rates.append(method.skip_dropout)
    expected = [0.4 * (24 - e) / 25 if e < 10 else 0.4 * math.exp(-0.2 * (e - 10)) for e in range(25)]
    assert rates == pytest.approx(expected)
    assert method.trains_alphas
    method.begin_epoch(35)
    assert not method.trains_alphas


def test_dropout_drops_single_elements_and_keeps_the_mean() -> None:
    skip = DroppedSkip()
    skip.rate, skip.generator = 0.25, torch.Generator().manual_seed(0)
    x = torch.ones(8, 16, 32, 32)
    found = skip(x)
    assert found.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float(found.mean()) == pytest.approx(1, abs=0.01)
    assert skip.eval()(x) is x


def test_the_alphas_gradient_is_clipped(search_config: MakeSearch, data_root: Path) -> None:
    def alphas(clip: float) -> torch.Tensor:
        config = search_config(
            method="p-darts", epochs=1, weights_only_epochs=0, alpha_weight_decay=0, alpha_grad_clip=clip
        )
        state = searched(config, data_root)[0].checkpoint["resume"]["alpha_optimizer"]["state"]
        return torch.cat([moments["exp_avg_sq"].flatten() for moments in state.values()])

    assert 0 < float(alphas(1e-6).sum()) < 1e-6 * float(alphas(5.0).sum())


def test_surplus_skip_connections_of_the_normal_cell_are_replaced_weakest_first() -> None:
    primitives = ("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3")
    normal = [
        [0.0, 0.9, 0.05, 0.05],
        [0.0, 0.5, 0.4, 0.1],
        [0.0, 0.8, 0.1, 0.1],
        [0.0, 0.1, 0.7, 0.2],
        [0.0, 0.7, 0.2, 0.1],
    ]
    free = strongest(normal, normal, primitives)
    assert [edge for edge in free.normal if edge.op == "skip_connect"] == [
        Edge("skip_connect", 0),
        Edge("skip_connect", 1),
        Edge("skip_connect", 0),
    ]
    assert with_fewer_skips(normal, normal, primitives, 3) == free
    # The skip-connection of 0.5 goes first; its edge stays, since the first node has no other.
    two = with_fewer_skips(normal, normal, primitives, 2)
    assert two.normal[:2] == (Edge("skip_connect", 0), Edge("sep_conv_3x3", 1))
    assert two.reduce == free.reduce
    # Then those of 0.7 and 0.8, whose edges lose against others.
    none = with_fewer_skips(normal, normal, primitives, 0)
    assert none.normal == (
        Edge("sep_conv_3x3", 1),
        Edge("sep_conv_3x3", 0),
        Edge("sep_conv_3x3", 1),
        Edge("sep_conv_3x3", 2),
    )


def test_an_edge_without_another_operation_keeps_its_skip_connection() -> None:
    primitives = ("none", "skip_connect")
    table = [[0.5, 0.5]] * 2
    found = with_fewer_skips(table, table, primitives, 0)
    assert isinstance(found, Genotype)
    assert {edge.op for edge in found.normal} == {"skip_connect"}
