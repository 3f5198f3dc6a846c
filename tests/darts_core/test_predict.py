"""Predictions normalise raw images of every form as the file says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from darts_core.configs.score import TrainedOn
from darts_core.data.files import middle_of
from darts_core.ensembles.models import ImageEnsemble
from darts_core.errors import CheckpointError, DataError
from darts_core.files import checkpoints
from darts_core.files.imports import read_authors
from darts_core.files.loading import load_network
from darts_core.files.trained_network import TrainedNetwork
from darts_core.genotypes import KNOWN
from darts_core.models.evaluation_network import EvaluationNetwork

NAMES = ["cat", "dog", "emu"]


def made(folder: Path, *, channels: int = 3, dataset: str = "pets", stem: Any = "cifar", side: int = 16) -> Path:
    """A checkpoint of a network that has not been trained, whose normalisation is far from any default."""
    torch.manual_seed(0)
    classes = 1000 if dataset == "imagenet" else 3
    network = EvaluationNetwork(
        KNOWN["DARTS_V1"], channels=4, layers=3, classes=classes, image_channels=channels, stem=stem
    )
    torch.save(network.state_dict(), folder / "weights.pt")
    told = TrainedOn(
        dataset=dataset,
        classes=NAMES if classes == 3 else None,
        mean=[0.1, 0.2, 0.3][:channels],
        std=[0.5, 2.0, 0.25][:channels],
        size=[side, side],
    )
    checkpoints.save(read_authors(folder / "weights.pt", KNOWN["DARTS_V1"], told), folder / "net.pt")
    return folder / "net.pt"


def pixels(count: int, side: int = 16, channels: int = 3) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def expected(network: TrainedNetwork, raw: np.ndarray[Any, Any]) -> list[list[float]]:
    """By hand: bytes to 0..1, less the mean, over the deviation, through the network, softmax."""
    mean, std = (torch.tensor(network.normalisation[key])[:, None, None] for key in ("mean", "std"))
    images = (torch.tensor(raw).permute(0, 3, 1, 2).float() / 255 - mean) / std
    with torch.no_grad():
        found: list[list[float]] = network.network(images).double().softmax(1).tolist()
    return found


def test_images_in_every_form_give_the_same_normalised_probabilities(tmp_path: Path) -> None:
    network, raw = load_network(made(tmp_path)), pixels(3)
    for i, image in enumerate(raw):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    files = [tmp_path / f"{i}.png" for i in range(3)]
    forms: list[Any] = [raw, list(raw), [Image.fromarray(image) for image in raw], files, [str(f) for f in files]]
    forms += [torch.tensor(raw).permute(0, 3, 1, 2), [files[0], raw[1], Image.fromarray(raw[2])]]
    by_hand = expected(network, raw)
    for form in forms:
        found = network.predict(form, batch_size=2)
        probabilities = [list(prediction.probabilities.values()) for prediction in found]
        np.testing.assert_allclose(probabilities, by_hand, rtol=0, atol=1e-6)
    for prediction, row in zip(network.predict(raw), by_hand, strict=True):
        assert prediction.label == NAMES[int(np.argmax(row))]
        assert prediction.probability == max(prediction.probabilities.values())
        assert list(prediction.probabilities) == NAMES
    assert network.predict(files[0]) == network.predict(raw[:1])


def test_grey_networks_take_colour_and_colour_networks_grey(tmp_path: Path) -> None:
    grey = load_network(made(tmp_path, channels=1))
    image = Image.fromarray(pixels(1)[0])
    np.testing.assert_allclose(
        list(grey.predict(image)[0].probabilities.values()),
        expected(grey, np.asarray(image.convert("L"))[None, :, :, None])[0],
        atol=1e-6,
    )
    colour = load_network(made(tmp_path))
    flat = pixels(1, channels=1)[0]
    np.testing.assert_allclose(
        list(colour.predict(flat)[0].probabilities.values()), expected(colour, flat.repeat(3, 2)[None])[0], atol=1e-6
    )


def test_an_image_of_another_size_is_scaled_and_its_middle_taken(tmp_path: Path) -> None:
    network = load_network(made(tmp_path))
    wide = np.zeros((32, 64, 3), dtype=np.uint8)
    wide[:, 14:50] = (200, 100, 50)  # the filter reads a little beyond what is cut out
    flat = np.full((1, 16, 16, 3), (200, 100, 50), dtype=np.uint8)
    assert network.predict(wide)[0].probabilities == pytest.approx(network.predict(flat)[0].probabilities, abs=1e-6)


def test_images_for_an_imagenet_network_are_cut_as_its_test_images(tmp_path: Path) -> None:
    network = load_network(made(tmp_path, dataset="imagenet", stem="imagenet", side=224))
    image = Image.fromarray(pixels(1, side=300)[0])
    cut = middle_of(image, 224).permute(1, 2, 0)[None].numpy()
    found = list(network.predict(image)[0].probabilities.values())
    np.testing.assert_allclose(found, expected(network, cut)[0], atol=1e-6)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((16, 16, 3), dtype=np.float32), "uint8, 0 to 255, not float32"),
        (torch.zeros(3, 16, 16), "uint8"),
        (np.zeros((16, 16, 2), dtype=np.uint8), "1 or 3"),
        (np.zeros((16,), dtype=np.uint8), "height, width"),
    ],
)
def test_a_tensor_that_is_no_raw_image_is_refused(tmp_path: Path, image: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_network(made(tmp_path)).predict(image)


def test_an_image_that_is_not_there_is_refused_as_such(tmp_path: Path) -> None:
    network = load_network(made(tmp_path))
    with pytest.raises(DataError, match=r"none\.png does not exist$"):
        network.predict(tmp_path / "none.png")


def test_an_image_in_place_of_a_checkpoint_is_refused_in_a_line(tmp_path: Path) -> None:
    Image.fromarray(pixels(1)[0]).save(tmp_path / "photo.jpg")
    with pytest.raises(CheckpointError) as refused:
        load_network(tmp_path / "photo.jpg")
    said = f"{tmp_path / 'photo.jpg'} is not a checkpoint: neither a file of torch.save nor of safetensors"
    assert str(refused.value) == said


def test_a_committee_predicts_as_well(tmp_path: Path) -> None:
    network = load_network(made(tmp_path))
    committee = ImageEnsemble([network, network], [0.5, 0.5], "mean", network.classes)
    alone, together = (n.predict(pixels(1))[0] for n in (network, committee))
    assert together.label == alone.label
    assert together.probabilities == pytest.approx(alone.probabilities, abs=1e-6)


def test_the_command_names_each_image(tmp_path: Path) -> None:
    from client.cli import app

    file, raw = made(tmp_path), pixels(2)
    paths = []
    for i, image in enumerate(raw):
        paths.append(str(tmp_path / f"image {i}.png"))
        Image.fromarray(image).save(paths[-1])
    answer = CliRunner().invoke(app, ["predict", str(file), *paths, "--json"])
    assert answer.exit_code == 0, answer.output
    for told, prediction, path in zip(json.loads(answer.stdout), load_network(file).predict(raw), paths, strict=True):
        assert (told["file"], told["label"]) == (path, prediction.label)
        assert told["probabilities"] == pytest.approx(prediction.probabilities, abs=1e-6)
    lines = CliRunner().invoke(app, ["predict", str(file), *paths, "--top", "1"]).stdout.splitlines()
    assert [line.count(" %") for line in lines] == [1, 1]
    assert lines[0].startswith(f"{paths[0]}: {load_network(file).predict(raw)[0].label} ")


@pytest.mark.parametrize("missing", ["net", "image"])
def test_the_command_names_a_missing_or_broken_file(tmp_path: Path, missing: str) -> None:
    from client.cli import app

    (tmp_path / "broken.png").write_bytes(b"no image")
    arguments = {"net": ["no.pt", str(tmp_path / "broken.png")], "image": [str(made(tmp_path)), "no.png"]}[missing]
    answer = CliRunner().invoke(app, ["predict", *arguments])
    assert answer.exit_code == 2
    assert "there is no file no." in answer.stderr
    broken = CliRunner().invoke(app, ["predict", str(made(tmp_path)), str(tmp_path / "broken.png")])
    assert broken.exit_code == 2
    assert "broken.png" in re.sub(r"[\s│]", "", broken.stderr)  # the path may go over two lines of the frame
