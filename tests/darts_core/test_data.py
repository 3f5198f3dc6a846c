from __future__ import annotations

import hashlib
import pickle
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

from darts_core.data import load
from darts_core.data.images import statistics
from darts_core.data.torchvision_sets import CIFAR10_MEAN
from darts_core.errors import DataError
from tests.support.images import in_memory

DrawClasses = Callable[..., None]


def test_digits_have_the_sizes_of_the_catalogue_and_a_stratified_test_part(tmp_path: Path) -> None:
    data = load("digits", tmp_path)
    assert data.train_images.shape == (1437, 1, 8, 8)
    assert data.test_images.shape == (360, 1, 8, 8)
    assert in_memory(data.train_images).dtype == torch.uint8
    assert int(in_memory(data.train_images).max()) == 255
    counts = torch.bincount(data.test_labels)
    assert 34 <= int(counts.min()) <= int(counts.max()) <= 37
    pixels = in_memory(data.train_images).double() / 255
    assert data.mean[0] == pytest.approx(pixels.mean().item(), abs=1e-9)
    assert data.std[0] == pytest.approx(pixels.std(correction=0).item(), abs=1e-9)


def test_digits_are_split_the_same_way_on_every_machine(tmp_path: Path) -> None:
    data = load("digits", tmp_path)
    images = in_memory(data.test_images)
    digest = hashlib.sha256(images.numpy().tobytes() + data.test_labels.numpy().tobytes()).hexdigest()
    assert digest[:16] == "18470ac4345cb4b9"


def test_unknown_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown data set 'mnist'"):
        load("mnist", tmp_path)


@pytest.mark.parametrize("name", ["../x", "..", ".hidden", "a/b", ""])
def test_folder_name_that_could_lead_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="directly under"):
        load(f"folder:{name}", tmp_path)


def test_flat_class_folders_get_a_fixed_stratified_test_part(tmp_path: Path, draw_classes: DrawClasses) -> None:
    draw_classes(tmp_path / "pets", {"dog": 10, "cat": 20})
    data = load("folder:pets", tmp_path)
    assert data.classes == ("cat", "dog")
    assert torch.bincount(data.train_labels).tolist() == [16, 8]
    assert torch.bincount(data.test_labels).tolist() == [4, 2]
    again = load("folder:pets", tmp_path)
    assert torch.equal(in_memory(data.test_images), in_memory(again.test_images))


@pytest.mark.parametrize("valid", ["valid", "val", "dev", "eval", "validation"])
def test_given_parts_of_a_folder_are_kept_apart(valid: str, tmp_path: Path, draw_classes: DrawClasses) -> None:
    for part, count in (("train", 6), (valid, 2), ("test", 3)):
        draw_classes(tmp_path / "pets" / part, {"cat": count, "dog": count})
    data = load("folder:pets", tmp_path)
    assert data.valid_images is not None
    assert data.valid_labels is not None
    assert [len(images) for images in (data.train_images, data.valid_images, data.test_images)] == [12, 4, 6]
    assert data.valid_labels.tolist() == [0, 0, 1, 1]
    assert (data.mean, data.std) == statistics(in_memory(data.train_images))


def test_folder_without_a_validation_part_has_no_validation_images(tmp_path: Path, draw_classes: DrawClasses) -> None:
    draw_classes(tmp_path / "pets" / "train", {"cat": 10, "dog": 10})
    data = load("folder:pets", tmp_path)
    assert (data.valid_images, data.valid_labels) == (None, None)


@pytest.mark.parametrize("part", ["test", "valid"])
def test_class_unknown_to_train_is_refused(part: str, tmp_path: Path, draw_classes: DrawClasses) -> None:
    draw_classes(tmp_path / "pets" / "train", {"cat": 2, "dog": 2})
    draw_classes(tmp_path / "pets" / part, {"cow": 2})
    with pytest.raises(DataError, match="'cow'"):
        load("folder:pets", tmp_path)


def test_a_labelled_folder_that_is_called_like_no_part_is_refused_by_name(
    tmp_path: Path, draw_classes: DrawClasses
) -> None:
    draw_classes(tmp_path / "pets" / "train", {"cat": 5, "dog": 5})
    draw_classes(tmp_path / "pets" / "holdout", {"cat": 2})
    with pytest.raises(DataError, match="the folder holdout holds images of the training part's classes"):
        load("folder:pets", tmp_path)


def test_two_folders_of_one_part_are_refused_by_name(tmp_path: Path, draw_classes: DrawClasses) -> None:
    for part in ("train", "val", "dev"):
        draw_classes(tmp_path / "pets" / part, {"cat": 5, "dog": 5})
    with pytest.raises(DataError, match="the folders dev and val both hold the valid part"):
        load("folder:pets", tmp_path)


def test_both_unicode_forms_of_a_name_are_one_class(tmp_path: Path, draw_classes: DrawClasses) -> None:
    forms = [unicodedata.normalize(form, "Käfer") for form in ("NFC", "NFD")]
    draw_classes(tmp_path / "pets", {forms[0]: 5, forms[1]: 5, "cat": 10})
    data = load("folder:pets", tmp_path)
    assert data.classes == (forms[0], "cat")
    assert torch.bincount(torch.cat([data.train_labels, data.test_labels])).tolist() == [10, 10]


def test_one_colour_image_makes_the_set_colour(tmp_path: Path, draw_classes: DrawClasses) -> None:
    draw_classes(tmp_path / "pets", {"cat": 5, "dog": 5})
    assert load("folder:pets", tmp_path).channels == 1
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "pets" / "cat" / "red.png")
    assert load("folder:pets", tmp_path).channels == 3


def test_broken_image_is_named_with_its_cause(tmp_path: Path, draw_classes: DrawClasses) -> None:
    draw_classes(tmp_path / "pets", {"cat": 5, "dog": 5})
    broken = tmp_path / "pets" / "dog" / "bad.png"
    broken.write_bytes((tmp_path / "pets" / "dog" / "000.png").read_bytes()[:40])
    with pytest.raises(DataError, match=r"dog/bad\.png cannot be decoded as an image \(.+\)"):
        load("folder:pets", tmp_path)


def test_images_of_different_size_are_named_with_both_sizes(tmp_path: Path, draw_classes: DrawClasses) -> None:
    draw_classes(tmp_path / "pets", {"cat": 5, "dog": 5})
    Image.new("L", (9, 7)).save(tmp_path / "pets" / "dog" / "odd.png")
    with pytest.raises(DataError, match=r"odd\.png is 9x7, but .* is 8x8.*scale"):
        load("folder:pets", tmp_path)


@pytest.mark.parametrize("what", ["folder", "class", "image"])
def test_link_that_leads_out_of_the_data_root_is_refused(what: str, tmp_path: Path, draw_classes: DrawClasses) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    draw_classes(root / "pets", {"cat": 5, "dog": 5})
    draw_classes(outside / "pets", {"cat": 5, "dog": 5})
    link = {"folder": root / "pets", "class": root / "pets" / "dog", "image": root / "pets" / "dog" / "000.png"}[what]
    shutil.rmtree(link) if link.is_dir() else link.unlink()
    link.symlink_to(outside / link.relative_to(root))
    with pytest.raises(DataError, match="leads out of the data root"):
        load("folder:pets", root)


def test_missing_and_empty_folders_are_refused(tmp_path: Path, draw_classes: DrawClasses) -> None:
    with pytest.raises(DataError, match="no folder 'pets'"):
        load("folder:pets", tmp_path)
    (tmp_path / "pets").mkdir()
    with pytest.raises(DataError, match="holds no class folders"):
        load("folder:pets", tmp_path)
    draw_classes(tmp_path / "pets", {"cat": 5})
    (tmp_path / "pets" / "dog").mkdir()
    with pytest.raises(DataError, match="dog holds no images"):
        load("folder:pets", tmp_path)
    shutil.rmtree(tmp_path / "pets" / "dog")
    with pytest.raises(DataError, match="only one class"):
        load("folder:pets", tmp_path)


def test_set_too_large_for_memory_is_refused_before_it_is_read(
    tmp_path: Path, draw_classes: DrawClasses, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_classes(tmp_path / "pets", {"cat": 5, "dog": 5})
    monkeypatch.setattr("darts_core.data.folders.LARGEST_BYTES", 639)
    with pytest.raises(DataError, match="10 images of 8x8 need"):
        load("folder:pets", tmp_path)


def write_small_cifar(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve images in torchvision's own layout, with their checksums in place of the published ones."""
    folder = root / CIFAR10.base_folder
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)

    def write(name: str, content: object) -> str:
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    def batch(count: int) -> dict[str, object]:
        return {"data": random.integers(0, 256, (count, 3072), dtype=np.uint8), "labels": list(range(count))}

    files = [[name, write(name, batch(5))] for name in ("data_batch_1", "data_batch_2")]
    monkeypatch.setattr(CIFAR10, "train_list", files)
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", write("test_batch", batch(2))]])
    names = [f"class{i}" for i in range(10)]
    checksum = write("batches.meta", {"label_names": names})
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": checksum})


def test_cifar10_is_read_from_torchvisions_files_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small_cifar(tmp_path, monkeypatch)
    data = load("cifar10", tmp_path)
    assert data.train_images.shape == (10, 3, 32, 32)
    assert data.test_images.shape == (2, 3, 32, 32)
    assert data.train_labels.tolist() == [0, 1, 2, 3, 4] * 2
    assert data.mean == CIFAR10_MEAN
    raw = pickle.loads((tmp_path / CIFAR10.base_folder / "test_batch").read_bytes())["data"][1]
    assert torch.equal(in_memory(data.test_images)[1].flatten(), torch.from_numpy(raw))


def test_cifar10_without_files_or_network_says_where_to_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    with pytest.raises(DataError, match=r"could not be downloaded \(.*put its folder cifar-10-batches-py there"):
        load("cifar10", tmp_path)


def test_cifar100_is_read_by_its_fine_classes_with_the_statistics_of_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / CIFAR100.base_folder
    folder.mkdir()
    random = np.random.default_rng(0)

    def write(name: str, content: object) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    def batch(labels: list[int]) -> dict[str, object]:
        pixels = random.integers(0, 256, (len(labels), 3072), dtype=np.uint8)
        return {"data": pixels, "fine_labels": labels, "coarse_labels": [0] * len(labels)}

    monkeypatch.setattr(CIFAR100, "train_list", [write("train", batch([0, 99, 5, 5]))])
    monkeypatch.setattr(CIFAR100, "test_list", [write("test", batch([99, 0]))])
    names = [f"class{i}" for i in range(100)]
    _, checksum = write("meta", {"fine_label_names": names, "coarse_label_names": ["all"]})
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": checksum})
    data = load("cifar100", tmp_path)
    assert data.train_labels.tolist() == [0, 99, 5, 5]
    assert data.classes == tuple(names)
    assert data.test_images.shape == (2, 3, 32, 32)
    assert (data.mean, data.std) == statistics(in_memory(data.train_images))


def test_fashion_mnist_is_read_from_its_published_file_format(tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    counts = {"train": 4, "t10k": 2}
    pixels = {part: random.integers(0, 256, (count, 28, 28), dtype=np.uint8) for part, count in counts.items()}
    for part, images in pixels.items():
        head = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in images.shape)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        labels = np.arange(len(images), dtype=np.uint8)
        head = bytes([0, 0, 8, 1]) + len(labels).to_bytes(4, "big")
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    data = load("fashion-mnist", tmp_path)
    assert torch.equal(in_memory(data.train_images)[:, 0], torch.from_numpy(pixels["train"]))
    assert torch.equal(in_memory(data.test_images)[:, 0], torch.from_numpy(pixels["t10k"]))
    assert data.train_labels.tolist() == [0, 1, 2, 3]
    assert len(data.classes) == 10
    assert data.mean[0] == pytest.approx(pixels["train"].mean() / 255)
