"""Both loops: their reports, their resumption to the bit, and their stops between steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from darts_core import run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.errors import CheckpointError, ConfigError, DataError, Diverged, Stopped
from darts_core.files import checkpoints
from darts_core.files.loading import load
from darts_core.genotypes import Genotype, to_json
from darts_core.profile import Shape, profile
from darts_core.training.control import Progress
from darts_core.training.reports import EpochReport
from tests.support.recorder import Recorder, through_a_file
from tests.support.rounding import assert_within, bounds, nudged
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]
MakeEvaluation = Callable[..., EvaluationConfig]


@pytest.mark.parametrize("order", [1, 2])
def test_fused_and_plain_search_find_the_same_cell_and_go_on_from_each_others_checkpoints(
    order: int, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    # In float64: in float32 rounding decides a ReLU now and then, and with it which way an alpha goes.
    fused, plain = (search_config(order=order, fused=fused, precision="float64") for fused in (True, False))
    of_fused, of_plain = (list(run_search(config, data_root=data_root)) for config in (fused, plain))
    saved = [through_a_file(reports[0], tmp_path) for reports in (of_fused, of_plain)]
    crossed = [
        list(run_search(config, data_root=data_root, resume_from=checkpoint))
        for config, checkpoint in zip((plain, fused), saved, strict=True)
    ]

    def again(draw: int) -> dict[str, torch.Tensor]:
        moved = checkpoints.on_cpu(saved[1])
        nudged([t for t in [*moved["weights"].values(), *moved["alphas"].values()] if t.is_floating_point()], draw)
        return list(run_search(plain, data_root=data_root, resume_from=moved))[-1].alphas or {}

    truth = of_plain[-1].alphas
    assert truth is not None
    steps, longest_sum = 9, 6 * 8 * 8  # three epochs of three; over a batch's pixels, in a BatchNorm
    allowed = bounds(truth, again, steps * longest_sum)
    for reports in (of_fused, *crossed):
        assert reports[-1].epoch == 3
        assert reports[-1].genotype == of_plain[-1].genotype
        assert_within(reports[-1].alphas or {}, truth, allowed)


@pytest.mark.parametrize("order", [1, 2])
def test_resumed_search_equals_the_undisturbed_one_bit_for_bit(
    order: int, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(order=order, flip=True, cutout=3)
    undisturbed = list(run_search(config, data_root=data_root))
    torch.rand(7)  # what others draw must not matter
    saved = through_a_file(undisturbed[0], tmp_path)
    resumed = list(run_search(config, data_root=data_root, resume_from=saved))
    assert [r.epoch for r in resumed] == [2, 3]
    for before, after in zip(undisturbed[1:], resumed, strict=True):
        assert_same_bits(before.checkpoint, after.checkpoint)
        assert_same_bits(before.alphas, after.alphas)
        assert before.genotype == after.genotype


def test_resumed_evaluation_equals_the_undisturbed_one_bit_for_bit(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    config = evaluation_config(dataset="folder:tiny32", auxiliary=True, batch_size=4, cutout=8, flip=True)
    undisturbed = list(run_evaluation(config, data_root=data_root))
    saved = through_a_file(undisturbed[1], tmp_path)
    resumed = list(run_evaluation(config, data_root=data_root, resume_from=saved))
    assert [r.epoch for r in resumed] == [3]
    assert_same_bits(undisturbed[2].checkpoint, resumed[0].checkpoint)


def test_drop_path_draws_go_on_where_they_stopped(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    """Else the test above would pass with a generator that starts anew: here the state itself must differ."""
    first, second, _ = run_evaluation(evaluation_config(), data_root=data_root)
    states = [r.checkpoint["resume"]["drop_path"]["state"] for r in (first, second)]
    assert not torch.equal(*states)


def test_resuming_behind_the_last_epoch_reports_nothing(search_config: MakeSearch, data_root: Path) -> None:
    config = search_config(epochs=1)
    (report,) = run_search(config, data_root=data_root)
    assert list(run_search(config, data_root=data_root, resume_from=report.checkpoint)) == []


def test_resuming_does_not_write_into_the_checkpoint(search_config: MakeSearch, data_root: Path) -> None:
    config = search_config(epochs=2)
    first = next(run_search(config, data_root=data_root)).checkpoint
    copy = checkpoints.on_cpu(first)
    list(run_search(config, data_root=data_root, resume_from=first))
    assert_same_bits(first, copy)


def test_resume_with_another_spec_is_refused_by_the_fields_name(search_config: MakeSearch, data_root: Path) -> None:
    saved = next(run_search(search_config(), data_root=data_root)).checkpoint
    with pytest.raises(CheckpointError, match="seed: 0 there, 1 here"):
        run_search(search_config(seed=1), data_root=data_root, resume_from=saved)


def test_a_checkpoint_from_before_a_field_was_there_is_gone_on_from(search_config: MakeSearch, data_root: Path) -> None:
    saved = next(run_search(search_config(), data_root=data_root)).checkpoint
    del saved["spec"]["stop_from"]
    assert [r.epoch for r in run_search(search_config(), data_root=data_root, resume_from=saved)] == [2, 3]
    with pytest.raises(CheckpointError, match="stop_from: 1 there, 2 here"):
        run_search(search_config(stop_from=2), data_root=data_root, resume_from=saved)


def test_resume_of_the_other_kind_is_refused(
    search_config: MakeSearch, evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    saved = next(run_search(search_config(), data_root=data_root)).checkpoint
    with pytest.raises(CheckpointError, match="kind search"):
        run_evaluation(evaluation_config(), data_root=data_root, resume_from=saved)


def test_reports_are_distinct_snapshots(search_config: MakeSearch, data_root: Path) -> None:
    reports = list(run_search(search_config(), data_root=data_root))
    alphas = [r.alphas["normal"] for r in reports if r.alphas]
    assert len(alphas) == 3
    assert not torch.equal(alphas[0], alphas[1])
    assert not torch.equal(alphas[1], alphas[2])
    weights = [r.checkpoint["weights"]["stem.0.weight"] for r in reports]
    assert not torch.equal(weights[0], weights[1])


def test_search_metrics(search_config: MakeSearch, data_root: Path) -> None:
    first, *_ = run_search(search_config(), data_root=data_root)
    names = {"train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "weight_lr"}
    signs = {"skip_connects", "parameter_free", "alpha_entropy"}
    assert first.metrics.keys() == names | signs | {f"reduce_{name}" for name in signs}
    assert first.metrics["weight_lr"] == 0.05
    assert 0 <= first.metrics["validation_accuracy"] <= 100


def test_test_images_are_measured_in_the_last_epoch_alone(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    reports = list(run_evaluation(evaluation_config(), data_root=data_root))
    assert ["test_accuracy" in r.metrics for r in reports] == [False, False, True]
    assert all("validation_accuracy" in r.metrics for r in reports)
    assert [r.metrics["drop_path"] for r in reports] == pytest.approx([0.0, 0.1, 0.2])


def test_evaluation_on_all_training_images_has_no_validation(
    evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    (report,) = run_evaluation(evaluation_config(epochs=1, train_portion=1.0), data_root=data_root)
    assert not any(name.startswith("validation") for name in report.metrics)


def test_epochs_on_a_folder_are_chosen_by_its_own_validation_images(
    evaluation_config: MakeEvaluation, draw_classes: Callable[..., None], tmp_path: Path
) -> None:
    for part in ("train", "valid", "test"):
        draw_classes(tmp_path / "pets" / part, {"cat": 5, "dog": 5})
    config = evaluation_config(dataset="folder:pets", epochs=1, train_portion=1.0)
    [report] = run_evaluation(config, data_root=tmp_path)
    assert "validation_accuracy" in report.metrics


def test_checkpoint_remembers_the_best_validated_epoch(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    reports = list(run_evaluation(evaluation_config(), data_root=data_root))
    accuracies = [r.metrics["validation_accuracy"] for r in reports]
    best = reports[-1].checkpoint["resume"]["best"]
    assert best == {"epoch": 1 + accuracies.index(max(accuracies)), "validation_accuracy": max(accuracies)}


def test_same_spec_gives_the_same_run_and_another_seed_another(search_config: MakeSearch, data_root: Path) -> None:
    def first(seed: int) -> EpochReport:
        return next(run_search(search_config(seed=seed), data_root=data_root))

    base, again, other = first(0).checkpoint, first(0).checkpoint, first(1).checkpoint
    assert_same_bits(base, again)
    assert not torch.equal(base["weights"]["stem.0.weight"], other["weights"]["stem.0.weight"])


@pytest.mark.parametrize("questions", [0, 2, 3])
def test_search_stops_between_steps_and_in_its_validation_pass(
    questions: int, search_config: MakeSearch, data_root: Path
) -> None:
    control = Recorder(stop_after=questions)  # 16 images in batches of 6: 3 steps, then validation
    with pytest.raises(Stopped):
        list(run_search(search_config(), data_root=data_root, control=control))
    assert len(control.told) == questions


def test_control_is_told_every_step_once(search_config: MakeSearch, data_root: Path) -> None:
    control = Recorder()
    list(run_search(search_config(epochs=2), data_root=data_root, control=control))
    assert control.told == [Progress(epoch, 2, step, 3) for epoch in (1, 2) for step in (1, 2, 3)]


def test_run_leaves_the_process_as_it_found_it(search_config: MakeSearch, data_root: Path) -> None:
    state = torch.get_rng_state()
    next(run_search(search_config(), data_root=data_root))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_diverged_training_names_the_epoch_and_the_way_out(search_config: MakeSearch, data_root: Path) -> None:
    with pytest.raises(Diverged, match=r"epoch \d: .*lower weight_lr"):
        list(run_search(search_config(weight_lr=1000, weight_decay=1000), data_root=data_root))


def test_batch_larger_than_a_part_of_the_data_is_refused(
    search_config: MakeSearch, evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    with pytest.raises(DataError, match=r"batch of 17 .* 16 weight-training images; give a batch_size of at most 16"):
        run_search(search_config(batch_size=17), data_root=data_root)
    with pytest.raises(DataError, match="at most 22"):
        run_evaluation(evaluation_config(batch_size=23), data_root=data_root)


def test_auxiliary_head_on_a_folder_of_small_images_is_refused(
    evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    with pytest.raises(ConfigError, match=r"auxiliary: needs images of at least 29x29 pixels.*8x8"):
        run_evaluation(evaluation_config(auxiliary=True), data_root=data_root)


@pytest.mark.parametrize("stem", ["half", "imagenet"])
def test_a_search_and_an_evaluation_run_behind_every_stem_and_load_again(
    stem: str, search_config: MakeSearch, evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    values = {"epochs": 1, "dataset": "folder:tiny32", "stem": stem}
    (searched,) = run_search(search_config(**values), data_root=data_root)
    (evaluated,) = run_evaluation(evaluation_config(**values), data_root=data_root)
    for report in (searched, evaluated):
        checkpoints.save(report.checkpoint, tmp_path / "c.pt")
        network: Any = load(tmp_path / "c.pt").network
        assert network.stem_kind == stem


def test_checkpoint_of_a_folder_says_which_stem_its_images_got(search_config: MakeSearch, data_root: Path) -> None:
    report = next(run_search(search_config(), data_root=data_root))
    assert report.checkpoint["spec"]["stem"] == "cifar"


def test_step_schedule_multiplies_the_rate_and_stops_at_its_least(search_config: MakeSearch, data_root: Path) -> None:
    config = search_config(weight_lr=0.1, weight_lr_min=0.03, schedule="step", schedule_factor=0.5)
    assert [r.metrics["weight_lr"] for r in run_search(config, data_root=data_root)] == [0.1, 0.05, 0.03]


@pytest.mark.parametrize("space", ["darts", "space1", "space2", "space3"])
def test_alphas_of_every_edge_move_within_an_epoch_of_every_space(
    space: str, search_config: MakeSearch, data_root: Path
) -> None:
    config = search_config(space=space, primitives=None, epochs=2, nodes=1)
    first, second = (r.alphas for r in run_search(config, data_root=data_root))
    assert first is not None
    assert second is not None
    for kind in ("normal", "reduce"):
        assert ((first[kind] - second[kind]).abs().amax(dim=1) > 1e-3).all()


@pytest.mark.parametrize(
    ("primitives", "nodes"),
    [
        (["skip_connect", "max_pool_3x3"], 6),
        (["none", "dil_conv_5x5"], 5),
        (["avg_pool_3x3", "sep_conv_5x5", "skip_connect"], 3),
        (["sep_conv_3x3", "none"], 2),
    ],
)
def test_any_primitives_and_node_count_move_their_alphas_and_derive_a_cell_that_trains(
    primitives: list[str], nodes: int, search_config: MakeSearch, evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    config = search_config(primitives=primitives, nodes=nodes, epochs=2)
    first, second = run_search(config, data_root=data_root)
    assert first.alphas is not None
    assert second.alphas is not None
    for kind in ("normal", "reduce"):
        assert (first.alphas[kind] != second.alphas[kind]).any()
    found = second.genotype
    assert isinstance(found, Genotype)
    assert len(found.normal) == len(found.reduce) == 2 * nodes
    assert {edge.op for edge in found.normal} <= set(primitives) - {"none"}
    (trained,) = run_evaluation(evaluation_config(genotype=to_json(found), epochs=1), data_root=data_root)
    parameters = sum(trained.checkpoint["weights"][name].numel() for name in _trained_names(trained))
    assert parameters == profile(found, Shape(2, 3, 2, 8, 1)).parameters


def _trained_names(report: EpochReport) -> list[str]:
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    return [name for name in report.checkpoint["weights"] if not name.endswith(buffers)]
