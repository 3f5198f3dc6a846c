"""Selection by perturbation: the decisions, exact resumes, and the checkpoints that it leaves."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.configs.selection import PerturbationConfig, perturbation_of
from darts_core.errors import CheckpointError, ConfigError, Stopped
from darts_core.files import checkpoints
from darts_core.files.checkpoints import Checkpoint
from darts_core.files.loading import load
from darts_core.genotypes import Edge, Genotype, parse
from darts_core.methods.perturbation import Perturbation, Removal
from darts_core.methods.registry import method_of
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.build import build_supernet
from darts_core.models.supernet import SearchNetwork
from darts_core.training.perturbation import run_perturbation
from tests.support.recorder import AT_EVERY_STEP, Recorder
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]
STEPS = 3
"""Training steps of an epoch."""
NASBENCH201: dict[str, Any] = {"space": "nasbench201", "primitives": None, "nodes": 3, "channels": 8, "epochs": 1}
OF_EDGE, OF_NODE = 2 * 4, 2 * 3
"""Measurements of a projection: of 4 operations, or of the 3 edges of the last node, in both kinds of cell."""


def searched(config: SearchConfig, data_root: Path) -> Checkpoint:
    return list(run_search(config, data_root=data_root))[-1].checkpoint


def selection(search: SearchConfig, **given: Any) -> PerturbationConfig:
    return perturbation_of(search, search.epochs, {"selection_interval": 1, **given})


@pytest.mark.parametrize(("nodes", "interval", "expected"), [(4, 5, 81), (4, 10, 161), (2, 1, 6), (1, 3, 4)])
def test_the_number_of_epochs_follows_from_the_cell(
    nodes: int, interval: int, expected: int, search_config: MakeSearch
) -> None:
    assert selection(search_config(nodes=nodes), selection_interval=interval).epochs == expected


def test_a_cell_of_4_nodes_has_17_projections(search_config: MakeSearch) -> None:
    config = selection(search_config(nodes=4), selection_interval=5)
    assert config.projection_epochs == [*range(1, 82, 5)]


@pytest.mark.parametrize(
    ("interval", "expected"), [(5, [1, 6, 11, 16, 21, 25]), (2, [1, 3, 5, 7, 9, 10]), (1, [1, 2, 3, 4, 5, 6])]
)
def test_a_cell_of_nasbench201_has_6_projections(interval: int, expected: list[int], search_config: MakeSearch) -> None:
    config = selection(search_config(**NASBENCH201, weight_lr=0.05), selection_interval=interval)
    assert (config.projection_epochs, config.epochs) == (expected, expected[-1])
    assert (config.weight_lr, config.weight_lr_min) == (0.005, 0.005)


def test_the_spec_is_the_searchs_but_for_the_tuning(search_config: MakeSearch) -> None:
    search = search_config(method="gdas", weight_lr=0.05, weight_lr_min=0.001, stop_when={"skip_connects": ">9"})
    config = selection(search, selection_interval=2, checkpoint_every=3)
    assert (config.weight_lr, config.weight_lr_min, config.schedule) == (0.005, 0.001, "cosine")
    assert (config.epochs, config.search_epochs, config.search_epoch) == (11, 3, 3)
    assert (config.stop_when, config.checkpoint_every) == (None, 3)
    same = search.model_copy(update={"stop_when": None, "weight_lr": 0.005, "checkpoint_every": 3})
    assert config.search() == same
    ended = selection(search_config(method="r-darts-es"))
    assert (ended.growth_limit, ended.rollback_from, ended.hessian_every) == (None, None, None)
    assert config.resolved() == config
    assert PerturbationConfig(**config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("method", "given", "field", "message"),
    [
        ("darts", {"channels": 8}, "channels", "is 2 in the search"),
        ("darts", {"seed": 1}, "seed", "is 0 in the search"),
        ("darts", {"epochs": 3}, "epochs", "follows from the search"),
        ("random", {}, "search_id", "trains no alphas"),
        ("rsps", {}, "search_id", "trains no alphas"),
        ("p-darts", {}, "search_id", "searches in stages"),
    ],
)
def test_a_contradiction_is_refused_by_name(
    method: str, given: dict[str, Any], field: str, message: str, search_config: MakeSearch
) -> None:
    with pytest.raises(ConfigError) as caught:
        selection(search_config(method=method), **given)
    assert [(p.loc, message in p.msg) for p in caught.value.problems] == [((field,), True)]


def test_a_selection_follows_no_selection_and_runs_on_one_gpu(search_config: MakeSearch) -> None:
    config = selection(search_config(channels=2))
    with pytest.raises(ConfigError, match="is a selection itself"):
        selection(config)
    with pytest.raises(ConfigError, match="runs on 1 GPU"):
        config.check_gpus(2)


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
@pytest.mark.parametrize("fused", [True, False])
def test_the_operation_that_carries_all_information_is_kept_although_its_alpha_is_lowest(
    criterion: str, fused: bool, search_config: MakeSearch, data_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search = search_config(
        nodes=1,
        layers=1,
        reductions=[],
        epochs=1,
        fused=fused,
        primitives=["none", "sep_conv_3x3", "skip_connect"],
    )
    source = searched(search, data_root)
    for name, weight in source["weights"].items():
        if name.endswith("weight"):
            # State 0 and the convolutions carry nothing; state 1 is the brightness of the image.
            weight.fill_(1.0 if name.startswith("stem.") or "preprocess1" in name else 0.0)
        if name.startswith("classifier"):
            weight.zero_()
    source["weights"]["classifier.weight"][1] = 100.0
    for table in source["alphas"].values():
        table.copy_(torch.tensor([0.0, 0.0, -4.0]))
    with caplog.at_level("INFO", logger="darts_core"):
        *_, last = run_perturbation(
            selection(search, selection_criterion=criterion), source=source, data_root=data_root
        )
    assert isinstance(last.genotype, Genotype)
    assert Edge("skip_connect", 1) in last.genotype.normal
    assert last.strengths is not None
    assert last.strengths["normal"][1] == [0, 0, 1]
    assert last.checkpoint["alphas"]["normal"][1].argmin() == 2
    [line] = [text for text in caplog.messages if text.startswith("normal cell: edge 1 (node 0 from state 1)")]
    assert "keeps skip_connect" in line
    if criterion == "accuracy":
        figures = [float(figure) for figure in re.findall(r"([\d.]+) %", line)]
        assert figures[2] < 60 < 90 < min(figures[:2])


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
def test_in_nasbench201_too_and_edges_that_carry_none_get_none(
    criterion: str, search_config: MakeSearch, data_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search = search_config(**NASBENCH201, batch_size=16, weight_lr=1e-6, weight_lr_min=0)
    source = searched(search, data_root)
    only_carrier(source["weights"])
    source["alphas"]["cell"].copy_(torch.tensor([0.0, 0.0, -4.0, 0.0, 0.0]))
    with caplog.at_level("INFO", logger="darts_core"):
        *_, last = run_perturbation(
            selection(search, selection_criterion=criterion), source=source, data_root=data_root
        )
    assert last.genotype == parse("000200")
    assert last.strengths == {"cell": [[1, 0, 0, 0, 0]] * 3 + [[0, 0, 1, 0, 0]] + [[1, 0, 0, 0, 0]] * 2}
    assert last.checkpoint["alphas"]["cell"][3].argmin() == 2
    [line] = [text for text in caplog.messages if text.startswith("cell: edge 3 (node 3 from node 0)")]
    assert "keeps nor_conv_1x1" in line
    if criterion == "accuracy":
        figures = [float(figure) for figure in re.findall(r"([\d.]+) %", line)]
        assert figures[2] < 60 < 90 < min(figures[:2] + figures[3:])
    last.save(tmp_path / "last.pt")
    network = load(tmp_path / "last.pt").network
    assert isinstance(network, AlphaNetwork)
    assert (network.genotype(), network.strengths()) == (last.genotype, last.strengths)


def only_carrier(weights: dict[str, torch.Tensor]) -> None:
    """Let the 1x1 convolution from node 0 to node 3 alone carry the brightness, from channel 0 to channel 1; all
    that follows a cell reads channel 1.
    """
    for name, weight in weights.items():
        if name.endswith("weight"):
            weight.fill_(1.0 if weight.ndim == 1 else 0.0)
        elif name.endswith("bias"):
            weight.zero_()
        if "_ops.3._ops.2.op.1" in name:
            weight[1, 0] = 1.0
        elif name.endswith("downsample.1.weight"):
            weight[0, 1] = 1.0
    weights["stem.0.weight"][0, :, 1, 1] = 1.0
    weights["classifier.weight"][1, 1] = 100.0


def test_each_edge_is_projected_and_each_node_keeps_two_edges(
    search_config: MakeSearch, data_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search = search_config(epochs=1)
    source = searched(search, data_root)
    control = Recorder()
    with caplog.at_level("INFO", logger="darts_core"):
        reports = list(run_perturbation(selection(search), source=source, data_root=data_root, control=control))
    assert [p.steps for p in control.told if p.step == 1] == [*[OF_EDGE + STEPS] * 5, OF_NODE + STEPS]
    total = 5 * (OF_EDGE + STEPS) + OF_NODE + STEPS
    assert [p.left for p in control.told] == [*range(total - 1, -1, -1)]
    for report in reports:
        assert report.strengths is not None
        for table in report.strengths.values():
            decided = [row for row in table if sorted(row) == [0, 0, 0, 1]]
            assert len(decided) + sum(not any(row) for row in table) == min(report.epoch, 5)
    last = reports[-1]
    assert last.strengths is not None
    assert isinstance(last.genotype, Genotype)
    for kind, edges in (("normal", last.genotype.normal), ("reduce", last.genotype.reduce)):
        kept = [edge for edge, row in enumerate(last.strengths[kind]) if any(row)]
        assert len(kept) == 4
        assert kept[:2] == [0, 1]
        assert {0, 1} == {edge.source for edge in edges[:2]}
        assert {edge - 2 for edge in kept[2:]} == {edge.source for edge in edges[2:]}
        assert len([t for t in caplog.messages if t.startswith(f"{kind} cell") and "keeps" in t]) == 5
        assert len([t for t in caplog.messages if t.startswith(f"{kind} cell") and "is deleted" in t]) == 1
    last.save(tmp_path / "last.pt")
    network = load(tmp_path / "last.pt").network
    assert isinstance(network, SearchNetwork)
    assert network.genotype() == last.genotype
    assert network.strengths() == last.strengths
    # The search's own checkpoint is as it was.
    assert_same_bits(source, searched(search, data_root))


@pytest.mark.parametrize("stop_at", [2, 6, OF_EDGE, OF_EDGE + 1, OF_EDGE + STEPS, 5 * (OF_EDGE + STEPS) + 4])
@pytest.mark.parametrize("method", ["darts", "gdas"])
def test_a_selection_stopped_in_any_phase_ends_bit_for_bit_like_an_undisturbed_one(
    method: str, stop_at: int, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    check_resume(search_config(epochs=2, method=method), stop_at, data_root, tmp_path)


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("pc-darts", {"channels": 8}),
        ("drnas", {}),
        ("snas", {}),
        ("beta-darts", {}),
        ("sdarts-rs", {}),
        ("sdarts-adv", {}),
        ("darts-minus", {}),
        ("r-darts-dp", {}),
        ("fair-darts", {}),
        ("darts", {"order": 2}),
        ("darts", {"fused": False}),
    ],
)
def test_a_selection_after_any_method_resumes_exactly(
    method: str, changes: dict[str, Any], search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    search = search_config(epochs=1, method=method, weights_only_epochs=0, nodes=1, **changes)
    check_resume(search, OF_EDGE + STEPS + 3, data_root, tmp_path)


@pytest.mark.parametrize("stop_at", [2, 5, 5 + STEPS, 5 + STEPS + 4])
@pytest.mark.parametrize("method", ["darts", "gdas", "pc-darts"])
def test_a_selection_in_nasbench201_stopped_in_any_phase_resumes_exactly(
    method: str, stop_at: int, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    search = search_config(**NASBENCH201, method=method, weights_only_epochs=0)
    check_resume(search, stop_at, data_root, tmp_path)


def check_resume(search: SearchConfig, stop_at: int, data_root: Path, folder: Path) -> None:
    source = searched(search, data_root)
    config = selection(search, checkpoint_seconds=AT_EVERY_STEP)
    control = Recorder(stop_at=stop_at)
    with pytest.raises(Stopped):
        list(run_perturbation(config, source=source, data_root=data_root, control=control))
    checkpoints.save(control.kept[-1], folder / "middle.pt")
    middle = checkpoints.read(folder / "middle.pt")
    epoch = middle["epoch"] + 1
    *_, undisturbed = islice(run_perturbation(config, source=source, data_root=data_root), epoch)
    resumed = next(iter(run_perturbation(config, data_root=data_root, resume_from=middle)))
    assert resumed.epoch == epoch
    assert_same_bits(undisturbed.checkpoint, resumed.checkpoint)
    kind = next(iter(source["strengths"]))
    assert not torch.equal(source["alphas"][kind], resumed.checkpoint["alphas"][kind])


def test_measurements_leave_the_network_as_it_is(search_config: MakeSearch, data_root: Path) -> None:
    search = search_config(epochs=1)
    source = searched(search, data_root)
    control = Recorder(stop_at=5)
    with pytest.raises(Stopped):
        list(run_perturbation(selection(search), source=source, data_root=data_root, control=control))
    [middle] = control.kept
    assert_same_bits(middle["weights"], source["weights"])
    assert_same_bits(middle["alphas"], source["alphas"])
    assert len(middle["resume"]["measured"]) == 1


def test_a_stop_within_a_measurement_keeps_the_earlier_ones(search_config: MakeSearch, data_root: Path) -> None:
    search = search_config(epochs=1)
    control = Recorder(stop_after=2 * 4 + 1)  # asked once a step, and before each of 3 batches of a measurement
    with pytest.raises(Stopped):
        list(
            run_perturbation(
                selection(search), source=searched(search, data_root), data_root=data_root, control=control
            )
        )
    [middle] = control.kept
    assert (middle["resume"]["open"]["steps"], len(middle["resume"]["measured"])) == (2, 2)


@pytest.mark.parametrize("method", ["darts", "pc-darts", "darts-minus"])
@pytest.mark.parametrize("kind", ["normal", "reduce"])
def test_removed_projected_and_deleted_edges_compute_alike_fused_and_one_by_one(
    method: str, kind: str, search_config: MakeSearch
) -> None:
    config = selection(search_config(method=method, channels=8, nodes=2))
    images = torch.randn(6, 1, 8, 8, dtype=torch.float64)
    answers = []
    for fused in (True, False):
        torch.manual_seed(0)
        network = build_supernet(config, classes=2, image_channels=1, stem="cifar", fused=fused).double()
        choices = network.method
        assert isinstance(choices, Perturbation)
        choices.begin_epoch(1)
        choices.project(kind, 0, 3)
        choices.project(kind, 3, 0)
        choices.delete(kind, 2)
        found = [network(images)]
        for removal in (Removal(kind, 1, 2), Removal(kind, 4), Removal(kind, 0)):
            with choices.without(removal):
                found.append(network(images))
        assert not any(torch.equal(found[0], other) for other in found[1:])
        weights = choices.operation_weights(network.alphas)[kind]
        own = choices.search.operation_weights(network.alphas)[kind]
        assert torch.equal(weights[[1, 4]], own[[1, 4]])
        assert not weights[2].any()
        gradients = torch.autograd.grad(found[0].sum(), network.alphas[kind])[0]
        assert not gradients[[0, 2, 3]].any()
        assert gradients[[1, 4]].any()
        answers.append(torch.stack([*found]))
    torch.testing.assert_close(answers[0], answers[1], rtol=0, atol=1e-10)


def test_a_trial_is_not_renormalised(search_config: MakeSearch) -> None:
    choices = method_of(selection(search_config()))
    assert isinstance(choices, Perturbation)
    alphas = {kind: torch.zeros(5, 4) for kind in ("normal", "reduce")}
    with choices.without(Removal("normal", 1, 2)):
        weights = choices.operation_weights(alphas)
    assert weights["normal"].tolist() == [[0.25, 0.25, 0.25 * (edge != 1), 0.25] for edge in range(5)]
    assert torch.equal(weights["reduce"], torch.full((5, 4), 0.25))


def test_an_edge_projected_to_none_gets_its_strongest_other_operation(search_config: MakeSearch) -> None:
    choices = method_of(selection(search_config(primitives=["none", "max_pool_3x3", "skip_connect"])))
    assert isinstance(choices, Perturbation)
    alphas = {kind: torch.tensor([[0.0, 0.1, 0.2]] * 5) for kind in ("normal", "reduce")}
    for edge, operation in enumerate([0, 1, 1, 0, 2]):
        choices.project("normal", edge, operation)
    choices.delete("normal", 2)
    cell = choices.genotype(alphas, ("none", "max_pool_3x3", "skip_connect"))
    assert isinstance(cell, Genotype)
    assert cell.normal == (
        Edge("max_pool_3x3", 1),
        Edge("skip_connect", 0),
        Edge("skip_connect", 2),
        Edge("skip_connect", 1),
    )


def test_an_edge_chooses_among_its_own_operations(
    search_config: MakeSearch, data_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search = search_config(
        nodes=1, epochs=1, primitives=None, space=None, edges={"normal": [["skip_connect", "none"], ["max_pool_3x3"]]}
    )
    control = Recorder()
    with caplog.at_level("INFO", logger="darts_core"):
        *_, last = run_perturbation(
            selection(search), source=searched(search, data_root), data_root=data_root, control=control
        )
    assert isinstance(last.genotype, Genotype)
    assert Edge("max_pool_3x3", 1) in last.genotype.normal
    [line] = [text for text in caplog.messages if text.startswith("normal cell: edge 1")]
    assert line.count("without") == 1


def test_a_checkpoint_of_another_search_is_refused(search_config: MakeSearch, data_root: Path) -> None:
    source = searched(search_config(epochs=1), data_root)
    with pytest.raises(CheckpointError, match="seed"):
        run_perturbation(selection(search_config(epochs=1, seed=1)), source=source, data_root=data_root)
    with pytest.raises(CheckpointError, match="is gone"):
        run_perturbation(selection(search_config(epochs=1)), data_root=data_root)
