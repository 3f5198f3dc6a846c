"""A worker classifies an image and continues a text with stored checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from api.schemas.predictions import PredictionResult
from darts_core import load
from darts_core.configs import EvaluationConfig, RnnEvaluationConfig
from darts_core.errors import DataError
from darts_core.files.language_models import TrainedLanguageModel
from darts_core.training.control import UNCONTROLLED
from darts_core.training.run_config import run_config
from worker.runners import runner_of
from worker.runners.runner import Report


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "x.pt"
    config = EvaluationConfig(dataset="digits", genotype="DARTS_V2", channels=2, layers=3, epochs=1, batch_size=128)
    return trained(config, path, path.parent)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    (folder / "tiny").mkdir()
    for part in ("train", "valid", "test"):
        (folder / "tiny" / f"{part}.txt").write_text("the cat sees the dog\n" * 30)
    sizes: dict[str, Any] = {"hidden_size": 6, "batch_size": 2, "validation_batch_size": 2, "test_batch_size": 2}
    config = RnnEvaluationConfig(dataset="folder:tiny", genotype="DARTS_V1", preset="ptb", epochs=1, bptt=5, **sizes)
    return trained(config, folder / "x.pt", folder)


def trained(config: Any, path: Path, data_root: Path) -> Path:
    [report] = run_config(config.resolved(), data_root=data_root)
    report.save(path)
    return path


def predicted(checkpoint: Path, name: str, given: Path, **spec: Any) -> tuple[Report, PredictionResult]:
    inputs = {"given.pt": checkpoint, name: given}
    run = runner_of("prediction")
    values = {"top": 3, "words": 4, **spec}
    [report] = run(values, data_root=given.parent, resume_from=None, inputs=inputs, control=UNCONTROLLED, gpus=1)
    return report, report.fields["result"]


def test_an_image_gets_its_most_probable_classes(images: Path, tmp_path: Path) -> None:
    Image.new("L", (20, 20), 100).save(tmp_path / "x.png")
    report, result = predicted(images, "image", tmp_path / "x.png")
    network = load(images)
    expected = network.predict([tmp_path / "x.png"])[0].probabilities  # type: ignore[operator]
    best = sorted(expected.items(), key=lambda entry: -entry[1])[:3]
    assert [(each.label, each.probability) for each in result.candidates] == best
    assert report.metrics == {"probability": best[0][1]}
    assert result.continuation is None
    report.files["prediction.json"](tmp_path / "prediction.json")
    assert PredictionResult.model_validate_json((tmp_path / "prediction.json").read_text()) == result


def test_a_file_that_is_no_image_is_a_data_error(images: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("hello")
    with pytest.raises(DataError):
        predicted(images, "image", tmp_path / "x.png")


def test_a_text_goes_on_with_the_likeliest_words(words: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("the cat\nsees the zebra")
    _, result = predicted(words, "text", tmp_path / "text")
    model = load(words)
    assert isinstance(model, TrainedLanguageModel)
    given = ["the", "cat", "<eos>", "sees", "the", "zebra"]
    with torch.no_grad():
        logits = model(model.prepare(given)).logits[-1, 0].double().softmax(0)
    assert result.candidates[0].label == model.vocabulary[int(logits.argmax())]
    assert result.candidates[0].probability == pytest.approx(float(logits.max()))
    assert result.unknown == ["zebra"]
    assert result.continuation is not None
    following = result.continuation.split()
    assert len(following) == 4
    with torch.no_grad():
        for number, word in enumerate(following):
            step = model(model.prepare([*given, *following[:number]])).logits[-1, 0]
            assert word == model.vocabulary[int(step.argmax())]


def test_an_empty_text_begins_a_line(words: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("")
    _, result = predicted(words, "text", tmp_path / "text", top=100)
    assert sum(each.probability for each in result.candidates) == pytest.approx(1)
