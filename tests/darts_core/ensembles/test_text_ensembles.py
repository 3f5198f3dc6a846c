"""Ensembles of language models mix probabilities word by word; numpy recomputes them from the stored ones."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import darts_core
from darts_core import run_rnn_evaluation
from darts_core.configs import RnnEnsembleConfig, RnnEvaluationConfig, RnnScoreConfig
from darts_core.data.text.corpus import load_text
from darts_core.data.text.windows import columns
from darts_core.ensembles.models import LanguageEnsemble
from darts_core.ensembles.report import EnsembleReport
from darts_core.ensembles.texts import run_text_ensemble
from darts_core.errors import ConfigError, DataError
from darts_core.scoring.text import run_text_score

WORDS = ["the", "a", "cat", "dog", "sees", "bites", "and", "or"]
MEMBER: dict[str, Any] = {"id": "x", "source": "evaluation", "sha256": "0" * 64}


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, draw = tmp_path_factory.mktemp("texts"), random.Random(0)
    for name, words in (("tiny", WORDS), ("other", ["x", "y", "z"])):
        (root / name).mkdir()
        for part, count in (("train", 36), ("valid", 18), ("test", 18)):
            lines = (" ".join(draw.choices(words, k=5)) for _ in range(count))
            (root / name / f"{part}.txt").write_text("\n".join(lines) + "\n")
    return root


def trained(root: Path, name: str, seed: int) -> Path:
    config = RnnEvaluationConfig(
        dataset=f"folder:{name}",
        genotype="Genotype(recurrent=[('relu', 0), ('tanh', 1)], concat=[1, 2])",
        epochs=1,
        seed=seed,
        hidden_size=6,
        batch_size=4,
        bptt=9,
        validation_batch_size=3,
        test_batch_size=2,
    )
    [report] = run_rnn_evaluation(config.resolved(), data_root=root)
    report.save(root / f"{name}-{seed}.pt")
    return root / f"{name}-{seed}.pt"


@pytest.fixture(scope="module")
def members(data_root: Path) -> list[Path]:
    return [trained(data_root, "tiny", seed) for seed in range(3)]


def ensemble(files: list[Path], root: Path, more: Mapping[str, Path] | None = None, **changes: Any) -> EnsembleReport:
    config = RnnEnsembleConfig(dataset="folder:tiny", members=[MEMBER] * len(files), **changes)
    inputs = {f"member-{place}.pt": file for place, file in enumerate(files)}
    [report] = run_text_ensemble(config.resolved(), {**inputs, **(more or {})}, data_root=root)
    return report


def stored(report: EnsembleReport, tmp_path: Path) -> dict[str, np.ndarray[Any, Any]]:
    report.save_answers(tmp_path / "words.safetensors")
    return {name: tensor.clone().numpy() for name, tensor in load_file(tmp_path / "words.safetensors").items()}


def test_probabilities_are_mixed_word_by_word(data_root: Path, members: list[Path], tmp_path: Path) -> None:
    report = ensemble(members, data_root)
    found = stored(report, tmp_path)
    given = [np.exp(found[f"member.{place}"].astype(np.float64)) for place in range(3)]
    mean = np.mean(given, axis=0)
    assert np.allclose(np.exp(found["log_probabilities"]), mean, rtol=1e-12)
    perplexities = [np.exp(-np.log(p).mean()) for p in [*given, mean]]
    assert [figures["perplexity"] for figures in report.test.members] == pytest.approx(perplexities[:3])
    assert report.metrics["test_perplexity"] == pytest.approx(perplexities[3])
    assert report.test.gain == pytest.approx(min(perplexities[:3]) - perplexities[3])
    assert report.disagreement is None


def test_each_members_figures_equal_its_score(data_root: Path, members: list[Path]) -> None:
    report = ensemble(members, data_root)
    [score] = run_text_score(RnnScoreConfig(dataset="folder:tiny", checkpoint=MEMBER), members[1], data_root=data_root)
    assert torch.equal(report.answers["member.1"], score.log_probabilities)
    assert report.test.members[1]["perplexity"] == score.metrics["test_perplexity"]


def test_weights_are_fitted_on_the_validation_text(data_root: Path, members: list[Path], tmp_path: Path) -> None:
    report = ensemble(members, data_root, combine="fitted")
    assert report.validation is not None
    assert asdict(report.validation.part) == {"part": "valid", "count": 106, "of": 108}
    found = stored(report, tmp_path)
    given = np.stack([np.exp(found[f"validation.member.{place}"].astype(np.float64)) for place in range(3)])
    fitted = -np.log(np.array(report.decision.weights) @ given).mean()
    assert report.validation.committee["loss"] == pytest.approx(fitted, rel=1e-9)
    assert fitted <= -np.log(given.mean(axis=0)).mean()


def test_selection_is_never_worse_than_its_best_member(data_root: Path, members: list[Path]) -> None:
    report = ensemble(members, data_root, select={"best": 2})
    assert report.validation is not None
    alone = [figures["perplexity"] for figures in report.validation.members]
    assert report.validation.committee["perplexity"] <= min(alone)


def test_places_are_those_of_the_words_in_the_text(data_root: Path, members: list[Path], tmp_path: Path) -> None:
    found = stored(ensemble(members, data_root, batch_size=4), tmp_path)
    words = load_text("folder:tiny", data_root).parts["test"]
    assert found["targets"].tolist() == words[found["places"]].tolist()


@pytest.mark.parametrize("how", [{}, {"combine": "fitted", "select": {"best": 2}}])
def test_the_file_runs_as_one_language_model(
    data_root: Path, members: list[Path], tmp_path: Path, how: dict[str, Any]
) -> None:
    report = ensemble(members, data_root, **how)
    report.save(tmp_path / "committee.pt")
    committee = darts_core.load(tmp_path / "committee.pt")
    assert isinstance(committee, LanguageEnsemble)
    text = columns(load_text("folder:tiny", data_root).parts["test"], 2, "test")
    with torch.no_grad():
        first = committee(text[:7])
        second = committee(text[7:-1], first.hidden)
    logits = torch.cat([first.logits, second.logits])
    said = logits.log_softmax(dim=-1).gather(-1, text[1:, :, None])[..., 0].t().flatten()
    assert said.numpy() == pytest.approx(stored(report, tmp_path)["log_probabilities"], abs=1e-5)


def test_a_scores_words_are_used_again(data_root: Path, members: list[Path], tmp_path: Path) -> None:
    config = RnnScoreConfig(dataset="folder:tiny", checkpoint=MEMBER, batch_size=2)
    [score] = run_text_score(config, members[0], data_root=data_root)
    score.save(tmp_path / "kept")
    again = {"member-0.safetensors": tmp_path / "kept"}
    assert ensemble(members, data_root, again).test == ensemble(members, data_root).test
    with pytest.raises(DataError, match="member 0: the score None predicted other words"):
        ensemble(members, data_root, again, batch_size=3)


def test_a_model_of_other_words_is_refused_by_its_place(data_root: Path, members: list[Path]) -> None:
    with pytest.raises(DataError, match="member 1 has another vocabulary than member 0"):
        ensemble([members[0], trained(data_root, "other", 0)], data_root)


def test_more_columns_than_the_validation_text_has_words_for_are_refused() -> None:
    config = RnnEnsembleConfig(dataset="ptb", members=[MEMBER] * 2, batch_size=26_000, combine="fitted")
    with pytest.raises(ConfigError, match="batch_size: 26000 is too large for the 73,760 words"):
        config.resolved()
