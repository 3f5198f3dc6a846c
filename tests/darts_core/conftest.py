"""Specs of a tiny search and evaluation, and images to run them on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from darts_core.configs import EvaluationConfig, SearchConfig

DrawClasses = Callable[..., None]


@pytest.fixture(autouse=True)
def on_the_cpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides the GPU from every test that is not marked `gpu`."""
    torch = sys.modules.get("torch")  # which some of these tests do without
    if torch is not None and request.node.get_closest_marker("gpu") is None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These networks are too small to share, and threads that wait for each other fare badly on a busy machine."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _draw_classes(
    folder: Path, classes: dict[str, int], size: tuple[int, int] = (8, 8), *, colour: bool = False
) -> None:
    random = np.random.default_rng(0)
    for place, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            shape = (size[1], size[0], 3) if colour else (size[1], size[0])
            pixels = random.integers(60 * place, 60 * place + 100, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:03}.png")


@pytest.fixture
def draw_classes() -> DrawClasses:
    """(folder, {class: count}, (width, height)): writes that many different images into each class folder."""
    return _draw_classes


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds `folder:tiny`, 2 classes of 20 grey 8x8 images, and `folder:tiny32`, the same of 32x32 in colour."""
    root = tmp_path_factory.mktemp("data")
    _draw_classes(root / "tiny", {"dark": 20, "light": 20})
    _draw_classes(root / "tiny32", {"dark": 10, "light": 10}, size=(32, 32), colour=True)
    return root


@pytest.fixture(scope="session")
def imagenet_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with `imagenet`, as `draw_imagenet` draws it."""
    from tests.support.images import draw_imagenet

    root = tmp_path_factory.mktemp("files")
    draw_imagenet(root)
    return root


@pytest.fixture
def search_config() -> Callable[..., SearchConfig]:
    """A search of under a second an epoch, with the changes given."""
    values: dict[str, Any] = {
        "dataset": "folder:tiny",
        "epochs": 3,
        "batch_size": 6,
        "channels": 2,
        "layers": 3,
        "nodes": 2,
        "crop_padding": 1,
        "weight_lr": 0.05,
        "alpha_lr": 0.01,
        "primitives": ["none", "max_pool_3x3", "skip_connect", "dil_conv_3x3"],
    }
    return lambda **changes: SearchConfig(**{**values, **changes}).resolved()


@pytest.fixture
def evaluation_config() -> Callable[..., EvaluationConfig]:
    """An evaluation of under a second an epoch, with the changes given."""
    values: dict[str, Any] = {
        "dataset": "folder:tiny",
        "genotype": "DARTS_V2",
        "epochs": 3,
        "batch_size": 10,
        "channels": 2,
        "layers": 3,
        "auxiliary": False,
        "drop_path": 0.3,
        "cutout": 3,
        "crop_padding": 1,
        "train_portion": 0.7,
    }
    return lambda **changes: EvaluationConfig(**{**values, **changes}).resolved()
