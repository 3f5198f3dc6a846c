"""The loops of recurrent cells: reports, and resumption to the bit, also across the switch to averaging."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from darts_core import load, run_rnn_evaluation, run_rnn_search
from darts_core.configs import RnnEvaluationConfig, RnnSearchConfig
from darts_core.errors import CheckpointError, DataError, Diverged, Stopped
from darts_core.files import checkpoints
from darts_core.files.language_models import TrainedLanguageModel
from darts_core.genotypes import parse
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork, cross_entropy
from darts_core.scoring.images import score
from darts_core.scoring.text import score_text
from darts_core.training import rnn_evaluation, rnn_search
from darts_core.training.averaging import optimizer_of, should_average
from darts_core.training.control import Progress
from darts_core.training.reports import EpochReport
from darts_core.training.texts import masks_of, measure_text
from tests.support.rounding import sum_tolerance
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., RnnSearchConfig]
MakeEvaluation = Callable[..., RnnEvaluationConfig]

WORDS = ["the", "a", "cat", "dog", "sees", "bites", "and", "or", "runs", "sleeps"]


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    draw = random.Random(0)
    folder = tmp_path / "data" / "tiny"
    folder.mkdir(parents=True)
    for part, count in (("train", 36), ("valid", 18), ("test", 18)):
        lines = (" ".join(draw.choices(WORDS, range(1, 11), k=draw.randint(2, 7))) for _ in range(count))
        (folder / f"{part}.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


COMMON: dict[str, Any] = {
    "dataset": "folder:tiny",
    "preset": "ptb",
    "batch_size": 4,
    "bptt": 9,
    "hidden_size": 6,
    "validation_batch_size": 3,
    "epochs": 3,
    "dropout_output": 0.2,
    "dropout_cell_input": 0.2,
    "weight_lr": 5.0,
    "activation_penalty": 0.1,
}


@pytest.fixture
def search_config() -> MakeSearch:
    return lambda **changes: RnnSearchConfig(**{**COMMON, "nodes": 2, "alpha_lr": 0.02, **changes}).resolved()


@pytest.fixture
def evaluation_config() -> MakeEvaluation:
    values = {
        **COMMON,
        "genotype": "Genotype(recurrent=[('relu', 0), ('tanh', 1)], concat=[1, 2])",
        "test_batch_size": 2,
    }
    return lambda **changes: RnnEvaluationConfig(**{**values, **changes}).resolved()


def through_a_file(report: EpochReport, folder: Path) -> checkpoints.Checkpoint:
    checkpoints.save(report.checkpoint, folder / "c.pt")
    return checkpoints.read(folder / "c.pt")


class Recorder:
    """A control that remembers, and asks to stop after some questions."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.told: list[Progress] = []
        self.kept: list[checkpoints.Checkpoint] = []
        self.asked = 0
        self.stop_after = stop_after

    def should_stop(self) -> bool:
        self.asked += 1
        return self.asked > self.stop_after

    def progress(self, progress: Progress) -> None:
        self.told.append(progress)

    def keep(self, checkpoint: checkpoints.Checkpoint) -> None:
        self.kept.append(checkpoint)


def loss_by_hand(file: Path, text: Path, columns: int) -> tuple[float, float]:
    """The stored model's mean loss in float64, the text in one window; and how far float32 may be from it."""
    model = load(file)
    assert isinstance(model, TrainedLanguageModel)
    words = model.prepare([word for line in text.read_text().splitlines() for word in [*line.split(), "<eos>"]])[:, 0]
    rows = len(words) // columns
    window = words[: rows * columns].view(columns, rows).t()
    loss = cross_entropy(model.double()(window[:-1]).logits, window[1:]).item()
    return loss, loss * sum_tolerance(len(words), torch.float32)


def validations(reports: list[EpochReport]) -> list[float]:
    return [r.metrics["validation_loss"] for r in reports]


@pytest.fixture
def worsening(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Validation losses that the loop is told, one a call, whatever the network says; the real ones at their end."""
    script: list[float] = []

    def told(network: Any, text: Any, bptt: int, *, control: Any) -> float:
        return script.pop(0) if script else measure_text(network, text, bptt, control=control)

    monkeypatch.setattr(rnn_evaluation, "measure_text", told)
    return script


@pytest.mark.parametrize("order", [1, 2])
def test_resumed_search_equals_the_undisturbed_one_bit_for_bit(
    order: int, search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    config = search_config(order=order)
    undisturbed = list(run_rnn_search(config, data_root=data_root))
    torch.rand(7)  # what others draw must not matter
    saved = through_a_file(undisturbed[0], tmp_path)
    resumed = list(run_rnn_search(config, data_root=data_root, resume_from=saved))
    assert [r.epoch for r in resumed] == [2, 3]
    for before, after in zip(undisturbed[1:], resumed, strict=True):
        assert_same_bits(before.checkpoint, after.checkpoint)
        assert_same_bits(before.alphas, after.alphas)
        assert before.genotype == after.genotype


def test_resumed_evaluation_equals_the_undisturbed_one_across_the_switch_to_averaging(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    # At this rate validation soon gets worse.
    config = evaluation_config(epochs=5, averaging_patience=1, weight_lr=60.0, grad_clip=1.0, small_batch_size=2)
    undisturbed = list(run_rnn_evaluation(config, data_root=data_root))
    averaged = [r.metrics["averaged"] for r in undisturbed]
    switch = averaged.index(1.0)
    assert 1 < switch < 4
    # Just before the epoch that decides for it, right behind it, and with means gathered.
    for stopped_after in (switch - 1, switch, switch + 1):
        saved = through_a_file(undisturbed[stopped_after - 1], tmp_path)
        resumed = list(run_rnn_evaluation(config, data_root=data_root, resume_from=saved))
        assert [r.epoch for r in resumed] == list(range(stopped_after + 1, 6))
        for before, after in zip(undisturbed[stopped_after:], resumed, strict=True):
            assert_same_bits(before.checkpoint, after.checkpoint)


def test_search_goes_on_from_the_middle_of_an_epoch_to_the_same_bits(
    search_config: MakeSearch, data_root: Path
) -> None:
    control = Recorder()
    config = search_config(epochs=2, checkpoint_seconds=1e-9)
    undisturbed = list(run_rnn_search(config, data_root=data_root, control=control))
    middle = control.kept[len(control.kept) // 2]
    resumed = list(run_rnn_search(config, data_root=data_root, resume_from=middle))
    assert_same_bits(undisturbed[-1].checkpoint, resumed[-1].checkpoint)
    assert undisturbed[-1].metrics == resumed[-1].metrics


def test_evaluation_goes_on_from_the_middle_of_an_averaged_epoch_to_the_same_bits(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    control = Recorder()
    config = evaluation_config(epochs=4, averaging_patience=1, small_batch_size=2, checkpoint_seconds=1e-9)
    worsening += [1.0, 2.0, 3.0]
    undisturbed = list(run_rnn_evaluation(config, data_root=data_root, control=control))
    middle = [c for c in control.kept if c["epoch"] == 3][1]
    assert middle["resume"]["training"]["optimizer_name"] == "asgd"
    (resumed,) = run_rnn_evaluation(config, data_root=data_root, resume_from=middle)
    assert_same_bits(undisturbed[-1].checkpoint, resumed.checkpoint)


def test_resuming_does_not_write_into_the_checkpoint(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    config = evaluation_config(epochs=2)
    first = next(run_rnn_evaluation(config, data_root=data_root)).checkpoint
    copy = checkpoints.on_cpu(first)
    list(run_rnn_evaluation(config, data_root=data_root, resume_from=first))
    assert_same_bits(first, copy)


@pytest.mark.parametrize(
    ("history", "loss", "patience", "switches"),
    [
        ([5.0, 4.0, 3.0, 2.0, 1.0, 9.0], 5.1, 5, True),
        ([5.0, 4.0, 3.0, 2.0, 1.0, 9.0], 5.0, 5, False),  # only the losses of more than 5 epochs ago count
        ([5.0, 4.0, 3.0, 2.0, 1.0], 9.0, 5, False),  # too few
        ([3.0, 5.0], 4.0, 1, True),
        ([5.0, 3.0], 4.0, 1, False),
    ],
)
def test_non_monotone_rule(history: list[float], loss: float, patience: int, switches: bool) -> None:
    assert should_average(history, loss, patience) == switches


def test_averaging_takes_over_by_the_rule_and_stays(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    worsening += [3.0, 2.5, 3.1, 3.2, 1.0, 5.0]
    reports = list(run_rnn_evaluation(evaluation_config(epochs=6, averaging_patience=1), data_root=data_root))
    # 3.1 of the third epoch is worse than 3.0: the fourth is averaged, and a better one later changes nothing.
    assert [r.metrics["averaged"] for r in reports] == [0, 0, 0, 1, 1, 1]
    assert reports[-1].checkpoint["resume"]["best"]["epoch"] == 5


def test_averaged_weights_are_the_mean_of_all_weights_from_the_second_step_on() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = optimizer_of("asgd", [weight], lr=0.5, weight_decay=0.0)
    seen = []
    for gradient in (1.0, 4.0, -2.0):
        weight.grad = torch.tensor([gradient])
        optimizer.step()
        seen.append(weight.item())
    assert seen == [0.5, -1.5, -0.5]
    assert optimizer.state[weight]["ax"].item() == pytest.approx(sum(seen[1:]) / 2)


def test_a_changed_rate_reaches_averaged_sgd_one_step_late() -> None:
    weight = torch.nn.Parameter(torch.tensor([0.0]))
    optimizer = optimizer_of("asgd", [weight], lr=1.0, weight_decay=0.0)
    seen = []
    for rate in (1.0, 0.5, 0.25):
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.tensor([1.0])
        optimizer.step()
        seen.append(weight.item())
    assert seen == [-1.0, -2.0, -2.5]


def test_checkpoint_of_averaged_sgd_has_both_weight_sets(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    worsening += [1.0, 2.0, 3.0]
    reports = list(run_rnn_evaluation(evaluation_config(epochs=4, averaging_patience=1), data_root=data_root))
    plain, last = reports[0].checkpoint, reports[-1].checkpoint
    assert_same_bits(plain["weights"], plain["resume"]["training"]["weights"])
    training = last["resume"]["training"]
    assert training["optimizer_name"] == "asgd"
    assert last["weights"].keys() == training["weights"].keys()
    assert not torch.equal(last["weights"]["encoder.weight"], training["weights"]["encoder.weight"])
    assert torch.equal(last["weights"]["encoder.weight"], training["optimizer"]["state"][0]["ax"])


def test_last_epoch_is_validated_and_tested_with_the_weights_that_the_file_gives(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    config = evaluation_config(epochs=6, averaging_patience=1, weight_lr=60.0, grad_clip=1.0)
    last = list(run_rnn_evaluation(config, data_root=data_root))[-1]
    assert last.metrics["averaged"] == 1
    checkpoints.save(last.checkpoint, tmp_path / "c.pt")
    for metric, part, columns in (("validation", "valid", 3), ("test", "test", 2)):
        loss, tolerance = loss_by_hand(tmp_path / "c.pt", data_root / f"tiny/{part}.txt", columns)
        assert last.metrics[f"{metric}_loss"] == pytest.approx(loss, abs=tolerance)
        assert last.metrics[f"{metric}_perplexity"] == pytest.approx(math.exp(loss), rel=tolerance)


@pytest.mark.parametrize(
    ("validation", "best"),
    [([3.0, 2.0, 2.5], 2), ([3.0, 2.5, 3.1, 3.2, 1.0, 5.0], 5)],
    ids=["SGD", "averaged SGD"],
)
def test_best_test_perplexity_is_that_of_the_best_validated_epochs_own_file(
    validation: list[float],
    best: int,
    evaluation_config: MakeEvaluation,
    data_root: Path,
    tmp_path: Path,
    worsening: list[float],
) -> None:
    worsening += validation
    config = evaluation_config(epochs=len(validation), averaging_patience=1, weight_lr=60.0, grad_clip=1.0)
    reports = list(run_rnn_evaluation(config, data_root=data_root))
    last = reports[-1].metrics
    assert last["best_epoch"] == best
    found = []
    for report, name in ((reports[best - 1], "best_test"), (reports[-1], "test")):
        checkpoints.save(report.checkpoint, tmp_path / "c.pt")
        loss, tolerance = loss_by_hand(tmp_path / "c.pt", data_root / "tiny/test.txt", columns=2)
        assert last[f"{name}_loss"] == pytest.approx(loss, abs=tolerance)
        assert last[f"{name}_perplexity"] == pytest.approx(math.exp(loss), rel=tolerance)
        found.append(loss)
    assert abs(found[0] - found[1]) > 100 * tolerance  # or the one could be the other
    assert all("best_test_perplexity" not in report.metrics for report in reports[:-1])


def test_numbers_that_are_not_finite_put_the_best_epoch_back_and_say_so(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    worsening += [3.0, 2.0, 2.5, math.nan, 2.0, 1.9]
    reports = list(run_rnn_evaluation(evaluation_config(epochs=5), data_root=data_root))
    fourth = reports[3]
    assert fourth.metrics["rolled_back_to"] == 2
    assert "train_loss" not in fourth.metrics
    assert_same_bits(fourth.checkpoint["weights"], reports[1].checkpoint["weights"])
    assert_same_bits(fourth.checkpoint["resume"]["training"], reports[1].checkpoint["resume"]["training"])
    assert "rolled_back_to" not in reports[4].metrics
    assert reports[4].checkpoint["resume"]["rollbacks"] == 0


def test_rolling_back_survives_a_resume_bit_for_bit(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path, worsening: list[float]
) -> None:
    config, script = evaluation_config(epochs=4), [3.0, 2.0, 2.5, math.nan, 2.0]
    worsening += script
    undisturbed = list(run_rnn_evaluation(config, data_root=data_root))
    worsening[:] = script[3:]
    saved = through_a_file(undisturbed[2], tmp_path)
    (resumed,) = run_rnn_evaluation(config, data_root=data_root, resume_from=saved)
    assert_same_bits(undisturbed[3].checkpoint, resumed.checkpoint)


def test_a_rollback_under_averaged_sgd_goes_on_from_the_best_epochs_own_weights_with_the_next_epochs_draws(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    config, best, rolled_back = evaluation_config(epochs=6, averaging_patience=1), 4, 5
    worsening += [3.0, 2.5, 3.1, 1.0, math.nan, 1.0, 2.0]
    reports = list(run_rnn_evaluation(config, data_root=data_root))
    assert [r.metrics.get("rolled_back_to") for r in reports] == [None] * 4 + [best, None]
    assert reports[rolled_back - 1].metrics["averaged"] == 1
    of_best = reports[best - 1].checkpoint
    own, put_back = (r.checkpoint["resume"]["training"] for r in (reports[best - 1], reports[rolled_back - 1]))
    assert_same_bits(own, put_back)
    assert not torch.equal(put_back["weights"]["encoder.weight"], of_best["weights"]["encoder.weight"])
    # An undisturbed run that the same draws follow on the best epoch.
    worsening[:] = [2.0]
    (undisturbed,) = run_rnn_evaluation(config, data_root=data_root, resume_from={**of_best, "epoch": rolled_back})
    assert_same_bits(undisturbed.checkpoint["resume"]["training"], reports[-1].checkpoint["resume"]["training"])
    assert_same_bits(undisturbed.checkpoint["weights"], reports[-1].checkpoint["weights"])


def test_a_rollback_forgets_the_validation_losses_behind_the_best_epoch(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    kept, forgotten, next_one = [3.0, 2.0], 2.5, 2.7
    assert should_average([*kept, forgotten], next_one, 1)
    worsening += [*kept, forgotten, math.nan, 2.0, next_one, 2.6]
    reports = list(run_rnn_evaluation(evaluation_config(epochs=6, averaging_patience=1), data_root=data_root))
    assert reports[3].metrics["rolled_back_to"] == 2
    histories = [r.checkpoint["resume"]["training"]["history"] for r in reports[2:5]]
    assert histories == [[*kept, forgotten], kept, [*kept, next_one]]
    assert reports[5].metrics["averaged"] == 0


@pytest.fixture
def a_batch_that_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """(epoch): the second step of that epoch computes with a factor that is no number."""

    def spoil(spoilt: int) -> None:
        def masks(config: Any, network: Any, batch: int, *purpose: Any) -> Masks:
            drawn = masks_of(config, network, batch, *purpose)
            return drawn._replace(output=drawn.output * math.nan) if purpose[:2] == (spoilt, 1) else drawn

        monkeypatch.setattr(rnn_evaluation, "masks_of", masks)
        monkeypatch.setattr(rnn_search, "masks_of", masks)

    return spoil


def test_an_epoch_with_a_batch_that_is_not_finite_is_trained_to_its_end_and_then_taken_back(
    evaluation_config: MakeEvaluation, data_root: Path, a_batch_that_is_not_finite: Callable[[int], None]
) -> None:
    a_batch_that_is_not_finite(2)
    control = Recorder()
    reports = list(run_rnn_evaluation(evaluation_config(), data_root=data_root, control=control))
    assert [r.metrics.get("rolled_back_to") for r in reports] == [None, 1, None]
    told = [progress for progress in control.told if progress.epoch == 2]
    assert [progress.step for progress in told] == list(range(1, told[0].steps + 1))


@pytest.mark.parametrize("kind", ["search", "evaluation"])
def test_divergence_in_the_first_epoch_is_raised_at_its_end(
    kind: str,
    search_config: MakeSearch,
    evaluation_config: MakeEvaluation,
    data_root: Path,
    a_batch_that_is_not_finite: Callable[[int], None],
) -> None:
    a_batch_that_is_not_finite(1)
    control = Recorder()
    if kind == "search":
        reports = run_rnn_search(search_config(), data_root=data_root, control=control)
    else:
        reports = run_rnn_evaluation(evaluation_config(), data_root=data_root, control=control)
    with pytest.raises(Diverged, match="epoch 1: train_loss is nan"):
        list(reports)
    assert [progress.step for progress in control.told] == list(range(1, control.told[0].steps + 1))


def test_divergence_without_a_good_epoch_or_again_and_again_is_an_error(
    evaluation_config: MakeEvaluation, data_root: Path, worsening: list[float]
) -> None:
    worsening += [math.nan]
    with pytest.raises(Diverged, match=r"epoch 1: validation_loss is nan.*lower weight_lr"):
        list(run_rnn_evaluation(evaluation_config(), data_root=data_root))
    worsening[:] = [3.0, *[math.nan, 3.0] * 4]
    with pytest.raises(Diverged, match="epoch 5"):
        list(run_rnn_evaluation(evaluation_config(epochs=9), data_root=data_root))


def test_search_reports_one_alpha_table_that_moves(search_config: MakeSearch, data_root: Path) -> None:
    reports = list(run_rnn_search(search_config(nodes=8, epochs=2), data_root=data_root))
    tables = [r.alphas["recurrent"] for r in reports if r.alphas]
    assert [tuple(t.shape) for t in tables] == [(36, 5)] * 2
    assert not torch.equal(tables[0], tables[1])
    assert reports[-1].genotype is not None
    assert parse(reports[-1].checkpoint["genotype"], "rnn") == reports[-1].genotype
    assert reports[0].metrics.keys() == {
        *("train_loss", "train_perplexity", "validation_loss", "validation_perplexity", "weight_lr"),
        *("identities", "alpha_entropy"),
    }
    assert reports[0].metrics["validation_perplexity"] == pytest.approx(math.exp(reports[0].metrics["validation_loss"]))


def test_search_checkpoint_loads_with_its_alphas_and_its_vocabulary(
    search_config: MakeSearch, data_root: Path, tmp_path: Path
) -> None:
    (report,) = run_rnn_search(search_config(epochs=1, space="rnn_space1"), data_root=data_root)
    checkpoints.save(report.checkpoint, tmp_path / "c.pt")
    model = load(tmp_path / "c.pt")
    assert isinstance(model, TrainedLanguageModel)
    assert set(model.vocabulary) == {*WORDS, "<eos>", "<unk>"}
    assert report.alphas is not None
    assert isinstance(model.network, RecurrentSearchNetwork)
    assert torch.equal(model.network.alphas["recurrent"], report.alphas["recurrent"])
    assert model.network.primitives == ("none", "relu", "sigmoid", "identity")
    assert model(model.prepare(["the", "zebra"])).logits.shape == (2, 1, len(model.vocabulary))


def test_accumulated_gradients_are_those_of_the_whole_batch(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    none = dict.fromkeys(
        ("dropout_word", "dropout_input", "dropout_cell_input", "dropout_hidden", "dropout_output"), 0.0
    )
    whole, parts = (
        next(run_rnn_evaluation(evaluation_config(small_batch_size=size, **none), data_root=data_root))
        for size in (4, 1)
    )
    assert whole.metrics["validation_loss"] == pytest.approx(parts.metrics["validation_loss"], abs=1e-4)
    torch.testing.assert_close(
        whole.checkpoint["weights"]["encoder.weight"],
        parts.checkpoint["weights"]["encoder.weight"],
        rtol=1e-3,
        atol=1e-4,
    )


def test_same_spec_gives_the_same_run_and_another_seed_another(
    evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    def first(seed: int) -> checkpoints.Checkpoint:
        return next(run_rnn_evaluation(evaluation_config(seed=seed), data_root=data_root)).checkpoint

    base = first(0)
    assert_same_bits(base, first(0))
    assert not torch.equal(base["weights"]["decoder.bias"], first(1)["weights"]["decoder.bias"])


def test_loops_stop_between_steps(
    search_config: MakeSearch, evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    first, second = Recorder(stop_after=2), Recorder(stop_after=2)
    with pytest.raises(Stopped):
        list(run_rnn_search(search_config(), data_root=data_root, control=first))
    with pytest.raises(Stopped):
        list(run_rnn_evaluation(evaluation_config(), data_root=data_root, control=second))
    assert [[p.step for p in control.told] for control in (first, second)] == [[1, 2], [1, 2]]


def test_control_is_told_every_step_once(search_config: MakeSearch, data_root: Path) -> None:
    control = Recorder()
    list(run_rnn_search(search_config(epochs=1), data_root=data_root, control=control))
    steps = control.told[0].steps
    assert control.told == [Progress(1, 1, step, steps) for step in range(1, steps + 1)]


def test_resume_on_a_changed_text_is_refused(evaluation_config: MakeEvaluation, data_root: Path) -> None:
    saved = next(run_rnn_evaluation(evaluation_config(), data_root=data_root)).checkpoint
    with (data_root / "tiny/train.txt").open("a") as file:
        file.write("the cat\n")
    with pytest.raises(CheckpointError, match="text_checksum"):
        run_rnn_evaluation(evaluation_config(), data_root=data_root, resume_from=saved)


def test_batch_too_large_for_a_part_of_the_text_is_refused_by_the_part(
    evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    with pytest.raises(DataError, match=r"batch of 900 is too large for the \d+ words of the test text; give at most"):
        run_rnn_evaluation(evaluation_config(test_batch_size=900), data_root=data_root)


def test_run_leaves_the_process_as_it_found_it(search_config: MakeSearch, data_root: Path) -> None:
    state = torch.get_rng_state()
    next(run_rnn_search(search_config(), data_root=data_root))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_file_is_scored_as_the_run_tested_it(
    evaluation_config: MakeEvaluation, data_root: Path, tmp_path: Path
) -> None:
    (report,) = run_rnn_evaluation(evaluation_config(epochs=1), data_root=data_root)
    report.save(tmp_path / "c.pt")
    measured = score_text(tmp_path / "c.pt", data_root)
    assert measured.perplexity == pytest.approx(report.metrics["test_perplexity"])
    with pytest.raises(CheckpointError, match="is a language model"):
        score(tmp_path / "c.pt", data_root)
