"""A batch's way to the device: how many copies it takes, and whether one waits."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from darts_core.data.augmentation import Augmentation
from darts_core.data.batches import Feed, Normaliser
from darts_core.data.colour import Jitter, apply_jitter, draw_jitter, jitter_rows, jittered
from darts_core.data.files import FileImages
from darts_core.data.resized_crops import resized_crops

# A device on which nothing is computed: an operation that must know a tensor's values fails there.
META = torch.device("meta")
STRENGTH = (0.4, 0.4, 0.4, 0.2)


class Copies(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the copies from the host to another device, and whether each lets the host go on."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.non_blocking: list[bool] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func is torch.ops.aten._to_copy.default and args[0].device.type == "cpu" and out.device.type != "cpu":
            self.non_blocking.append(kwargs.get("non_blocking", False))
        if func is torch.ops.aten.copy_.default and args[0].device.type != args[1].device.type:
            self.non_blocking.append(args[2] if len(args) > 2 else kwargs.get("non_blocking", False))
        return out


def feed_on_meta(images: Tensor | FileImages) -> Feed:
    feed = Feed(
        images,
        torch.zeros(len(images), dtype=torch.int64, device=META),
        torch.arange(len(images)),
        name="training",
        batch_size=8,
        augmentation=Augmentation(2, True, 4, True, STRENGTH),
        normalise=Normaliser((0.5,) * 3, (0.5,) * 3, META),
        seed=0,
    )
    feed.batch(0)  # opens the pass, and takes constants to the device
    return feed


def test_an_augmented_batch_in_memory_is_one_copy_that_does_not_wait() -> None:
    feed = feed_on_meta(torch.zeros(32, 3, 16, 16, dtype=torch.uint8, device=META))
    with Copies() as copies:
        batch = feed.batch(1)
    assert batch.images.shape == (8, 3, 16, 16)
    assert copies.non_blocking == [True]


def test_a_batch_of_files_is_two_copies_that_do_not_wait(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.jpg" for i in range(16)]
    for i, path in enumerate(paths):
        Image.fromarray(np.full((40, 50, 3), i, dtype=np.uint8)).save(path)
    feed = feed_on_meta(FileImages(paths, 16).to(META))
    with Copies() as copies:
        feed.batch(1)
    assert copies.non_blocking == [True, True]


def test_a_new_pass_does_not_wait_either() -> None:
    feed = feed_on_meta(torch.zeros(16, 3, 16, 16, dtype=torch.uint8, device=META))
    with Copies() as copies:
        feed.batch(feed.steps)
    assert copies.non_blocking
    assert all(copies.non_blocking)


def _selected_by_masks(images: Tensor, jitters: list[Jitter]) -> Tensor:
    """Jitter that looks up the images of each operation with `nonzero`."""
    from darts_core.data.colour import _OPERATIONS

    out = images.to(torch.float32) / 255
    factors = torch.tensor([jitter.factors for jitter in jitters])
    order = torch.tensor([jitter.order for jitter in jitters])
    for place in range(4):
        for number, operation in enumerate(_OPERATIONS[: 4 if images.shape[1] == 3 else 2]):
            chosen = (order[:, place] == number).nonzero().flatten()
            if len(chosen):
                out[chosen] = operation(out[chosen], factors[chosen, number][:, None, None, None])
    return (out * 255).round().to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 3, 64])
def test_jitter_has_the_bits_of_a_lookup_by_value(channels: int, count: int) -> None:
    images = torch.randint(256, (count, channels, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    jitters = [draw_jitter(random.Random(i), STRENGTH) for i in range(count)]
    expected = _selected_by_masks(images, jitters)
    assert torch.equal(jittered(images, jitters), expected)
    assert torch.equal(apply_jitter(images, jitters, jitter_rows(jitters)), expected)


@pytest.mark.parametrize("from_files", [False, True])
def test_a_feed_has_the_bits_of_its_steps_one_by_one(from_files: bool, tmp_path: Path) -> None:
    images = torch.randint(256, (16, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    if from_files:
        for i, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{i:02}.png")
    held: Tensor | FileImages = FileImages([tmp_path / f"{i:02}.png" for i in range(16)], 16) if from_files else images
    normalise = Normaliser((0.5,) * 3, (0.5,) * 3, torch.device("cpu"))

    def feed(of: Tensor | FileImages, *, crop: bool, colour: bool) -> Feed:
        settings = Augmentation(0, False, 0, crop, STRENGTH if colour else (0.0,) * 4)
        return Feed(
            of,
            torch.arange(16),
            torch.arange(16),
            name="training",
            batch_size=8,
            augmentation=settings,
            normalise=normalise,
            seed=3,
        )

    from darts_core.data.order import numbers

    for step in range(4):
        both, cropped = feed(held, crop=True, colour=True).batch(step), feed(held, crop=True, colour=False).batch(step)
        indices = cropped.labels.tolist()
        if not from_files:
            sources = [numbers(3, "resized-crop", "training", step // 2, index) for index in indices]
            assert torch.equal(cropped.images, normalise(resized_crops(images[indices], sources)))
        pixels = (cropped.images * 0.5 + 0.5).mul(255).round().to(torch.uint8)
        jitters = [draw_jitter(numbers(3, "colour", "training", step // 2, index), STRENGTH) for index in indices]
        assert torch.equal(both.images, normalise(_selected_by_masks(pixels, jitters)))
