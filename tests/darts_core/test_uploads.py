"""Uploaded sets as darts_core reads them: packed, found by checksum, with validation images of their own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.data import load
from darts_core.data.catalogue import upload_path
from darts_core.data.packed import PARTS, Layout, Written, write
from darts_core.errors import DataError
from darts_core.training.evaluation import run_evaluation
from darts_core.training.search import run_search
from tests.support.images import in_memory

COUNTS = {"train": 24, "valid": 6, "test": 8}


def write_set(data_root: Path, valid_seed: int = 1) -> Written:
    """Two classes of grey 8x8 images, in their place under the data root."""
    labels = {part: [i % 2 for i in range(COUNTS[part])] for part in PARTS}
    images = {}
    for part, seed in (("train", 0), ("valid", valid_seed), ("test", 2)):
        random = np.random.default_rng(seed)
        images[part] = [random.integers(100 * n, 100 * n + 99, (8, 8, 1), dtype=np.uint8) for n in labels[part]]
    draft = data_root / "draft"
    made = write(draft, Layout(("dark", "light"), 1, 8, 8, COUNTS), labels, images)
    place = upload_path(data_root, made.checksum)
    place.parent.mkdir(exist_ok=True)
    draft.rename(place)
    return made


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return write_set(tmp_path)


def test_packed_set_comes_back_with_its_parts(written: Written, tmp_path: Path) -> None:
    data = load("pets", tmp_path, written.checksum)
    assert data.valid_images is not None
    assert [len(data.train_images), len(data.valid_images), len(data.test_images)] == [24, 6, 8]
    assert in_memory(data.train_images).dtype == torch.uint8
    assert data.test_labels.tolist() == [0, 1] * 4
    assert data.classes == ("dark", "light")
    pixels = in_memory(data.train_images).double() / 255
    assert data.mean == pytest.approx((pixels.mean().item(),), abs=1e-12)
    assert data.std == pytest.approx((pixels.std(correction=0).item(),), abs=1e-12)


def test_packed_file_has_the_layout_of_safetensors(written: Written, tmp_path: Path) -> None:
    content = upload_path(tmp_path, written.checksum).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    spans = [entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(sorted(spans)))
    assert 8 + length + max(end for _, end in spans) == len(content) == written.size


def test_data_that_differs_from_its_checksum_is_refused(written: Written, tmp_path: Path) -> None:
    place = upload_path(tmp_path, written.checksum)
    content = bytearray(place.read_bytes())
    content[-100] ^= 1
    place.write_bytes(content)
    with pytest.raises(DataError, match=f"not {written.checksum}: remove it"):
        load("pets", tmp_path, written.checksum)


def test_set_that_is_not_here_is_named_by_its_checksum(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"abab.* is not here"):
        load("pets", tmp_path, "ab" * 32)


def test_evaluation_chooses_its_best_epoch_on_the_validation_images_and_trains_on_all_others(
    written: Written, tmp_path: Path, evaluation_config: Callable[..., EvaluationConfig]
) -> None:
    config = evaluation_config(
        dataset="pets", dataset_checksum=written.checksum, epochs=1, batch_size=8, train_portion=1.0
    )
    [report] = run_evaluation(config, data_root=tmp_path, device=torch.device("cpu"))
    # Sixths: of the six validation images.
    assert report.metrics["validation_accuracy"] * 6 / 100 == pytest.approx(
        round(report.metrics["validation_accuracy"] * 6 / 100)
    )
    assert report.checkpoint["resume"]["step"] == 3


def test_validation_images_of_the_set_stay_out_of_a_search(
    tmp_path: Path, search_config: Callable[..., SearchConfig]
) -> None:
    alphas = []
    for seed in (1, 5):
        checksum = write_set(tmp_path, valid_seed=seed).checksum
        config = search_config(dataset="pets", dataset_checksum=checksum, epochs=1)
        [report] = run_search(config, data_root=tmp_path, device=torch.device("cpu"))
        assert report.alphas is not None
        alphas.append(report.alphas["normal"])
    assert torch.equal(alphas[0], alphas[1])
