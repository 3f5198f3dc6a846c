"""Ensembles of images: every figure recomputed with numpy from the logits that are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import darts_core
from darts_core import run_evaluation, run_score
from darts_core.configs import EnsembleConfig, EvaluationConfig, ScoreConfig
from darts_core.data import load as load_data
from darts_core.ensembles.images import run_ensemble
from darts_core.ensembles.models import ImageEnsemble
from darts_core.ensembles.report import EnsembleReport
from darts_core.errors import CheckpointError, DataError, Stopped
from darts_core.files import checkpoints
from darts_core.files.tensors import read_tensors
from tests.support.recorder import Recorder

MEMBER: dict[str, Any] = {"id": "x", "source": "evaluation", "sha256": "0" * 64}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`folder:six`: 6 classes of grey 8x8 images; `folder:split` the same with validation images of its own."""
    from PIL import Image

    root, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)

    def draw(folder: Path, count: int) -> None:
        for place in range(6):
            (folder / f"class{place}").mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(25 * place, 25 * place + 110, (8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"class{place}" / f"{number:02}.png")

    draw(root / "six", 20)
    for part, count in (("train", 10), ("valid", 4), ("test", 5)):
        draw(root / "split" / part, count)
    return root


def trained(root: Path, to: Path, dataset: str, seed: int, **changes: Any) -> list[Path]:
    """The files of all epochs."""
    values = {"channels": 2, "layers": 3, "batch_size": 16, "auxiliary": False, "crop_padding": 1, "epochs": 1}
    config = EvaluationConfig(dataset=dataset, genotype="DARTS_V2", seed=seed, **{**values, **changes})
    to.mkdir(exist_ok=True)
    files = []
    for report in run_evaluation(config, data_root=root):
        files.append(to / f"{dataset.partition(':')[2]}-{seed}-{report.epoch}.pt")
        checkpoints.save(report.checkpoint, files[-1])
    return files


@pytest.fixture(scope="module")
def members(root: Path) -> list[Path]:
    return [trained(root, root / "members", "folder:six", seed, weight_lr=0.1)[-1] for seed in range(3)]


def ensemble(
    files: list[Path], root: Path, dataset: str = "folder:six", more: Mapping[str, Path] | None = None, **changes: Any
) -> EnsembleReport:
    config = EnsembleConfig(dataset=dataset, members=[MEMBER] * len(files), **changes)
    inputs = {f"member-{place}.pt": file for place, file in enumerate(files)}
    [report] = run_ensemble(config.resolved(), {**inputs, **(more or {})}, data_root=root)
    return report


def stored(report: EnsembleReport, tmp_path: Path) -> dict[str, np.ndarray[Any, Any]]:
    report.save_answers(tmp_path / "logits.safetensors")
    # Copies: what is loaded is the file itself, which the next one overwrites.
    return {name: tensor.clone().numpy() for name, tensor in load_file(tmp_path / "logits.safetensors").items()}


def softmax(logits: Any) -> Any:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def by_hand(logits: Any, labels: Any) -> dict[str, Any]:
    probabilities = softmax(logits)
    order, rows = np.argsort(-logits, axis=1), np.arange(len(labels))
    confidence, right = probabilities.max(axis=1), order[:, 0] == labels
    error = 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        error += abs((right[inside] - confidence[inside]).sum()) / len(labels)
    return {
        "accuracy": 100 * right.sum() / len(labels),
        "top5": 100 * (order[:, :5] == labels[:, None]).any(axis=1).sum() / len(labels),
        "loss": pytest.approx(-np.log(probabilities[rows, labels]).mean(), rel=1e-9),
        "calibration_error": pytest.approx(100 * error, rel=1e-9),
    }


def test_every_figure_of_a_sum_follows_from_the_stored_logits(root: Path, members: list[Path], tmp_path: Path) -> None:
    report = ensemble(members, root)
    found = stored(report, tmp_path)
    outputs = [found[f"member.{place}"] for place in range(3)]
    assert np.array_equal(found["logits"], sum(output.astype(np.float64) for output in outputs))
    assert report.test.members == [by_hand(output, found["labels"]) for output in outputs]
    assert report.test.committee == by_hand(found["logits"], found["labels"])
    assert report.test.gain == report.test.committee["accuracy"] - max(m["accuracy"] for m in report.test.members)
    said = [output.argmax(axis=1) for output in outputs]
    assert report.disagreement == [[100 * (a != b).sum() / 24 for b in said] for a in said]


def test_the_labels_and_places_are_the_test_parts_own(root: Path, members: list[Path], tmp_path: Path) -> None:
    found, data = stored(ensemble(members, root), tmp_path), load_data("folder:six", root)
    assert found["labels"].tolist() == data.test_labels.tolist()
    assert found["places"].tolist() == list(range(24))


def test_a_mean_is_of_the_members_probabilities(root: Path, members: list[Path], tmp_path: Path) -> None:
    report = ensemble(members, root, combine="mean")
    found = stored(report, tmp_path)
    mean = np.mean([softmax(found[f"member.{place}"]) for place in range(3)], axis=0)
    assert np.allclose(np.exp(found["logits"]), mean, rtol=1e-12)
    assert report.test.committee["loss"] == by_hand(np.log(mean), found["labels"])["loss"]
    assert report.decision.weights == [1 / 3] * 3


def test_fitted_weights_fit_the_validation_half_better_than_equal_ones(
    root: Path, members: list[Path], tmp_path: Path
) -> None:
    report = ensemble(members, root, combine="fitted")
    equal = ensemble(members, root, combine="mean")
    found, whole = stored(report, tmp_path), stored(equal, tmp_path)
    outputs = [found[f"validation.member.{place}"] for place in range(3)]
    labels, rows = found["validation.labels"], np.arange(len(found["validation.labels"]))
    truths = np.stack([softmax(output)[rows, labels] for output in outputs])
    assert report.validation is not None
    assert report.validation.committee["loss"] == pytest.approx(
        -np.log(np.array(report.decision.weights) @ truths).mean(), rel=1e-9
    )
    assert report.validation.committee["loss"] <= -np.log(truths.mean(axis=0)).mean()
    assert np.array_equal(outputs[0], whole["member.0"][found["validation.places"]])


def test_without_validation_images_one_half_of_the_test_part_chooses_and_the_other_is_told(
    root: Path, members: list[Path], tmp_path: Path
) -> None:
    report = ensemble(members, root, select={"best": 2})
    found, data = stored(report, tmp_path), load_data("folder:six", root)
    assert report.validation is not None
    assert (asdict(report.validation.part), asdict(report.test.part)) == (
        {"part": "test", "count": 12, "of": 24},
        {"part": "test", "count": 12, "of": 24},
    )
    both = sorted([*found["places"].tolist(), *found["validation.places"].tolist()])
    assert both == list(range(24))
    assert found["labels"].tolist() == data.test_labels[found["places"]].tolist()


def test_a_data_set_with_validation_images_of_its_own_chooses_by_them(root: Path, tmp_path: Path) -> None:
    files = [trained(root, tmp_path / "m", "folder:split", seed)[-1] for seed in range(2)]
    report = ensemble(files, root, "folder:split", combine="fitted")
    assert report.validation is not None
    assert asdict(report.validation.part) == {"part": "valid", "count": 24, "of": 24}
    assert asdict(report.test.part) == {"part": "test", "count": 30, "of": 30}


def test_selection_takes_the_best_member_first_and_is_never_worse_than_it(
    root: Path, members: list[Path], tmp_path: Path
) -> None:
    report = ensemble(members, root, select={"best": 3})
    assert report.validation is not None
    assert report.decision.selection is not None
    alone = [figures["accuracy"] for figures in report.validation.members]
    first = report.decision.selection[0]
    assert first.validation["accuracy"] == alone[first.member] == max(alone)
    assert report.validation.committee == report.decision.selection[-1].validation
    assert report.validation.committee["accuracy"] >= max(alone)
    found = stored(report, tmp_path)
    chosen = [found[f"validation.member.{place}"].astype(np.float64) for place in report.decision.chosen]
    assert np.array_equal(found["validation.logits"], sum(chosen[1:], chosen[0]))


def test_the_plain_sum_of_all_is_reported_beside_the_selection(root: Path, members: list[Path], tmp_path: Path) -> None:
    report = ensemble(members, root, combine="fitted", select={"best": 1})
    found = stored(report, tmp_path)
    plain = sum(found[f"member.{place}"].astype(np.float64) for place in range(3))
    assert report.test.plain == by_hand(plain, found["labels"])
    assert len(report.decision.chosen) == 1


def test_the_same_ensemble_gives_the_same_bits(root: Path, members: list[Path], tmp_path: Path) -> None:
    digests = [
        ensemble(members, root, combine="fitted", select={"best": 2}).save_answers(tmp_path / "x") for _ in range(2)
    ]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("how", [{}, {"combine": "mean"}, {"combine": "fitted", "select": {"best": 2}}])
def test_the_file_runs_as_one_model_with_the_logits_that_are_stored(
    root: Path, members: list[Path], tmp_path: Path, how: dict[str, Any]
) -> None:
    report = ensemble(members, root, **how)
    report.save(tmp_path / "committee.pt")
    committee = darts_core.load(tmp_path / "committee.pt")
    assert isinstance(committee, ImageEnsemble)
    assert not committee.training
    assert len(committee.members) == len(report.decision.chosen)
    found, data = stored(report, tmp_path), load_data("folder:six", root)
    assert isinstance(data.test_images, torch.Tensor)
    with torch.no_grad():
        logits = committee(committee.prepare(data.test_images))[found["places"]]
    assert np.array_equal(logits.numpy(), found["logits"])
    assert committee.classes == data.classes


def test_the_file_is_a_dictionary_without_training_state(root: Path, members: list[Path], tmp_path: Path) -> None:
    ensemble(members, root).save(tmp_path / "committee.pt")
    found = torch.load(tmp_path / "committee.pt", weights_only=True)
    assert (found["kind"], found["combine"], found["weights"].tolist()) == ("ensemble", "sum", [1, 1, 1])
    assert [member["resume"] for member in found["members"]] == [{}, {}, {}]
    with pytest.raises(CheckpointError, match="unknown kind 'ensemble'"):
        checkpoints.read(tmp_path / "committee.pt")


@pytest.mark.parametrize(
    "change", [{"weights": torch.ones(2)}, {"combine": "vote"}, {"members": []}, {"members": [1]}, {"classes": None}]
)
def test_a_file_that_does_not_fit_itself_is_refused(
    root: Path, members: list[Path], tmp_path: Path, change: dict[str, Any]
) -> None:
    ensemble(members, root).save(tmp_path / "committee.pt")
    torch.save(torch.load(tmp_path / "committee.pt", weights_only=True) | change, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError):
        darts_core.load(tmp_path / "bad.pt")


def test_a_scores_logits_are_used_again(root: Path, members: list[Path], tmp_path: Path) -> None:
    config = ScoreConfig(dataset="folder:six", checkpoint=MEMBER).resolved()
    [score] = run_score(config, members[0], data_root=root)
    score.save(tmp_path / "kept.safetensors")
    kept = read_tensors(tmp_path / "kept.safetensors")
    assert torch.equal(kept["logits"], score.logits)
    report = ensemble(members, root, more={"member-0.safetensors": tmp_path / "kept.safetensors"})
    assert report.test == ensemble(members, root).test


def test_a_scores_logits_of_other_images_are_refused(root: Path, members: list[Path], tmp_path: Path) -> None:
    from darts_core.ensembles.stored import write_tensors

    write_tensors(tmp_path / "k", {"logits": torch.zeros(24, 6), "labels": torch.zeros(24, dtype=torch.int64)})
    with pytest.raises(DataError, match="member 0: the logits of score None are of other images"):
        ensemble(members, root, more={"member-0.safetensors": tmp_path / "k"})


def test_the_curve_combines_each_epoch_of_all_members(root: Path, tmp_path: Path) -> None:
    files = [trained(root, tmp_path / "m", "folder:six", seed, epochs=2) for seed in range(2)]
    last = [epochs[-1] for epochs in files]
    first = {f"member-{place}-epoch-1.pt": epochs[0] for place, epochs in enumerate(files)}
    report = ensemble(last, root, more=first, curve=[1, 2])
    assert report.curve is not None
    at_first = ensemble([epochs[0] for epochs in files], root)
    assert [point.epoch for point in report.curve] == [1, 2]
    assert (report.curve[0].members, report.curve[0].committee) == (at_first.test.members, at_first.test.committee)
    assert (report.curve[1].members, report.curve[1].committee) == (report.test.members, report.test.committee)


def test_members_of_other_classes_are_refused_by_their_place(
    root: Path, members: list[Path], data_root: Path, evaluation_config: Callable[..., EvaluationConfig], tmp_path: Path
) -> None:
    [other] = run_evaluation(evaluation_config(epochs=1), data_root=data_root)
    checkpoints.save(other.checkpoint, tmp_path / "other.pt")
    with pytest.raises(DataError, match=r"member 1: the checkpoint has 2 classes \(dark, light\), "):
        ensemble([members[0], tmp_path / "other.pt"], root)


def test_an_ensemble_stops_between_two_batches(root: Path, members: list[Path]) -> None:
    config = EnsembleConfig(dataset="folder:six", members=[MEMBER] * 2).resolved()
    inputs = {f"member-{place}.pt": members[place] for place in range(2)}
    with pytest.raises(Stopped):
        list(run_ensemble(config, inputs, data_root=root, control=Recorder(stop_after=0)))
