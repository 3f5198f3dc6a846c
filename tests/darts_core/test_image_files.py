"""Images read file by file, and ImageNet's augmentation."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional as transforms

from darts_core import run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.data import load
from darts_core.data.augmentation import Augmentation
from darts_core.data.batches import Feed, Normaliser
from darts_core.data.colour import Jitter, draw_jitter, jittered
from darts_core.data.files import FileImages
from darts_core.data.images import ImageData
from darts_core.data.resized_crops import Box, resized_crop_box, resized_crops
from darts_core.errors import DataError
from darts_core.files.checkpoints import save
from darts_core.scoring.images import score
from tests.support.images import IMAGENET_CLASSES as NAMES

CPU = torch.device("cpu")


@pytest.fixture
def imagenet(imagenet_root: Path) -> ImageData:
    return load("imagenet", imagenet_root)


def feed_of(imagenet: ImageData, *, seed: int = 0) -> Feed:
    return Feed(
        imagenet.train_images,
        imagenet.train_labels,
        torch.arange(12),
        name="training",
        batch_size=4,
        augmentation=Augmentation(0, True, 16, True, (0.4, 0.4, 0.4, 0.2)),
        normalise=Normaliser(imagenet.mean, imagenet.std, CPU),
        seed=seed,
    )


def test_files_are_listed_by_class_and_none_is_opened(imagenet: ImageData) -> None:
    assert imagenet.classes == NAMES
    assert imagenet.train_images.shape == (12, 3, 224, 224)
    assert imagenet.train_labels.tolist() == [0] * 6 + [1] * 6
    assert (len(imagenet.test_images), imagenet.size, imagenet.channels) == (4, (224, 224), 3)


def test_an_image_that_is_measured_is_scaled_to_256_and_cut_to_its_middle_224(
    imagenet: ImageData, imagenet_root: Path
) -> None:
    with Image.open(imagenet_root / "imagenet" / "val" / NAMES[1] / "0.JPEG") as image:
        expected = transforms.pil_to_tensor(transforms.center_crop(transforms.resize(image, 256), 224))
    images = imagenet.test_images[torch.tensor([2])]
    assert isinstance(images, FileImages)
    assert torch.equal(images.decoded()[0], expected)


def test_batches_of_files_depend_on_seed_and_step_and_not_on_decoding_ahead(imagenet: ImageData) -> None:
    in_order, anyhow = feed_of(imagenet), feed_of(imagenet)
    ahead = [in_order.batch(step) for step in range(6)]
    for step in (4, 0, 5, 5, 2):
        again = anyhow.batch(step)
        assert torch.equal(again.images, ahead[step].images)
        assert torch.equal(again.labels, ahead[step].labels)
    assert not torch.equal(feed_of(imagenet, seed=1).batch(0).images, ahead[0].images)


def test_a_file_is_cropped_anew_in_each_pass(imagenet: ImageData) -> None:
    feed = Feed(
        imagenet.train_images,
        imagenet.train_labels,
        torch.arange(2),
        name="training",
        batch_size=2,
        augmentation=Augmentation(0, False, 0, True),
        normalise=Normaliser(imagenet.mean, imagenet.std, CPU),
        seed=0,
    )
    first, second = (feed.batch(step).images for step in (0, 1))
    assert not torch.equal(first.sum(dim=(1, 2, 3)).sort().values, second.sum(dim=(1, 2, 3)).sort().values)


def test_a_broken_file_is_named(imagenet_root: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.JPEG").write_bytes(b"\xff\xd8 no image")
    with pytest.raises(DataError, match=r"broken\.JPEG cannot be decoded"):
        FileImages([tmp_path / "broken.JPEG"], 32).decoded()


@pytest.mark.parametrize("missing", ["train", "val"])
def test_a_missing_part_is_named(missing: str, tmp_path: Path) -> None:
    (tmp_path / "imagenet" / ({"train", "val"} - {missing}).pop()).mkdir(parents=True)
    with pytest.raises(DataError, match=f"imagenet/{missing}"):
        load("imagenet", tmp_path)


def test_the_imagenet_preset_trains_resumes_to_the_bit_and_scores(imagenet_root: Path, tmp_path: Path) -> None:
    config = EvaluationConfig(
        dataset="imagenet", genotype="DARTS_V2", epochs=2, batch_size=4, channels=2, layers=3, train_portion=0.7
    )
    first, second = run_evaluation(config, data_root=imagenet_root, device=CPU)
    assert second.checkpoint["spec"]["preset"] == "imagenet"
    assert second.checkpoint["spec"]["stem"] == "imagenet"
    assert second.metrics["weight_lr"] == pytest.approx(0.097)
    (again,) = run_evaluation(config, data_root=imagenet_root, device=CPU, resume_from=first.checkpoint)
    assert again.metrics == second.metrics
    save(second.checkpoint, tmp_path / "c.pt")
    assert score(tmp_path / "c.pt", imagenet_root, CPU).accuracy == second.metrics["test_accuracy"]


def test_a_search_reads_files_too(imagenet_root: Path) -> None:
    config = SearchConfig(
        dataset="imagenet", epochs=1, batch_size=4, channels=2, layers=3, nodes=1, primitives=["none", "skip_connect"]
    )
    (report,) = run_search(config, data_root=imagenet_root, device=CPU)
    assert report.checkpoint["spec"]["stem"] == "imagenet"


def test_crops_lie_in_the_image_and_keep_to_their_areas_and_ratios() -> None:
    source = random.Random(0)
    boxes = [resized_crop_box(source, 300, 400) for _ in range(2000)]
    assert all(b.top >= 0 and b.left >= 0 and b.top + b.height <= 300 and b.left + b.width <= 400 for b in boxes)
    areas = [b.height * b.width / (300 * 400) for b in boxes]
    assert min(areas) < 0.1
    assert max(areas) > 0.8
    assert all(0.73 < b.width / b.height < 1.36 for b in boxes)


def test_a_strip_that_holds_no_crop_gives_its_middle() -> None:
    assert resized_crop_box(random.Random(0), 10, 1000) == Box(0, 493, 10, 13)


def test_crops_of_images_in_memory_are_those_of_bilinear_scaling() -> None:
    images = torch.randint(256, (3, 3, 24, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    boxes = [resized_crop_box(random.Random(i), 24, 20) for i in range(3)]
    found = resized_crops(images, [random.Random(i) for i in range(3)])
    for image, box, out in zip(images, boxes, found, strict=True):
        part = image[:, box.top : box.top + box.height, box.left : box.left + box.width].float()
        expected = torch.nn.functional.interpolate(part[None], size=(24, 20), mode="bilinear", align_corners=False)[0]
        # Beyond the part's edge pixels our grid reads the image's own pixels, the reference repeats the edge.
        inside = (out.float() - expected)[:, 3:-3, 3:-3]
        assert inside.abs().max() <= 1.01


def _with_torchvision(image: Tensor, jitter: Jitter) -> Tensor:
    operations = (
        transforms.adjust_brightness,
        transforms.adjust_contrast,
        transforms.adjust_saturation,
        transforms.adjust_hue,
    )
    for number in jitter.order:
        image = operations[number](image, jitter.factors[number])
    return image


def test_colour_jitter_is_that_of_torchvision() -> None:
    images = torch.randint(256, (16, 3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[0] = 77  # grey, which has no hue
    jitters = [draw_jitter(random.Random(i), (0.4, 0.4, 0.4, 0.2)) for i in range(16)]
    expected = torch.stack([_with_torchvision(i / 255, j) for i, j in zip(images, jitters, strict=True)]) * 255
    assert (jittered(images, jitters).float() - expected).abs().max() <= 0.51


def test_jitter_factors_keep_to_their_strengths() -> None:
    source = random.Random(0)
    factors = [draw_jitter(source, (0.4, 0.3, 0.0, 0.2)).factors for _ in range(500)]
    assert all(0.6 <= b <= 1.4 and 0.7 <= c <= 1.3 and s == 1 and -0.2 <= h <= 0.2 for b, c, s, h in factors)
    assert max(b for b, *_ in factors) > 1.35


def test_grey_images_are_jittered_in_brightness_and_contrast_alone() -> None:
    grey = torch.full((1, 1, 4, 4), 100, dtype=torch.uint8)
    assert jittered(grey, [Jitter((1.0, 1.0, 0.0, 0.5), (0, 1, 2, 3))]).equal(grey)
    assert int(jittered(grey, [Jitter((1.5, 1.0, 0.0, 0.5), (3, 2, 1, 0))])[0, 0, 0, 0]) == 150
