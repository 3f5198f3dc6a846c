"""Reports, checkpoints and control of the loops of recurrent cells."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from darts_core import load, run_rnn_evaluation, run_rnn_search
from darts_core.errors import CheckpointError, DataError, Stopped
from darts_core.files import checkpoints
from darts_core.files.language_models import TrainedLanguageModel
from darts_core.genotypes import parse
from darts_core.kernels.gpu import recurrent
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork
from darts_core.scoring.images import score
from darts_core.scoring.text import score_text
from darts_core.training import rnn_search
from darts_core.training.control import Progress
from tests.support.recorder import Recorder
from tests.support.recurrent_runs import WORDS, MakeEvaluation, MakeSearch
from tests.support.same_bits import assert_same_bits


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


def test_warnings_and_metrics_tell_of_gpu_kernels_that_failed(
    search_config: MakeSearch, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rnn_search, "wants_recurrent_kernels", lambda *_: True)
    monkeypatch.setattr(rnn_search, "enable_recurrent_kernels", lambda *_: recurrent.disable("no compiler"))
    first, second = run_rnn_search(search_config(epochs=2), data_root=data_root)
    recurrent.disable()
    assert first.warnings[0] == "no compiler; torch's own operations compute, which takes longer"
    assert "no compiler" not in " ".join(second.warnings)
    assert (first.metrics["gpu_kernels"], second.metrics["gpu_kernels"]) == (0, 0)
