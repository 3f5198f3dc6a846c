"""Data sets that come as arrays: MNIST's files, CIFAR's batches, .npz."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from darts_core.data.packed import read
from tests.support.archive_check import Check
from tests.support.archives import Files, pets, tar_of

pytestmark = pytest.mark.light

Array = npt.NDArray[Any]


def drawn(count: int, *shape: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def idx(array: npt.NDArray[np.uint8]) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(extent.to_bytes(4, "big") for extent in array.shape)
    return head + array.tobytes()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npz_compressed(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


TRAIN, TEST = drawn(40, 8, 8), drawn(10, 8, 8, seed=1)
TRAIN_LABELS, TEST_LABELS = np.arange(40, dtype=np.uint8) % 4, np.arange(10, dtype=np.uint8) % 4


def mnist(names: str = "{}-{}-idx{}-ubyte", pack: Callable[[bytes], bytes] = bytes) -> Files:
    parts = {"train": (TRAIN, TRAIN_LABELS), "t10k": (TEST, TEST_LABELS)}
    files = {}
    for part, (images, labels) in parts.items():
        files[names.format(part, "images", 3)] = pack(idx(images))
        files[names.format(part, "labels", 1)] = pack(idx(labels))
    return files


def stored(result: dict[str, Any], tmp_path: Path) -> tuple[set[tuple[bytes, str]], set[tuple[bytes, str]]]:
    """Each image with its class: of the training and validation images, and of the test images."""
    assert result.get("error") is None, result["error"]
    packed = read(tmp_path / "packed", result["checksum"])

    def pairs(*parts: str) -> set[tuple[bytes, str]]:
        return {
            (image.tobytes(), packed.classes[label])
            for part in parts
            for image, label in zip(packed.images[part], packed.labels[part], strict=True)
        }

    return pairs("train", "valid"), pairs("test")


def given(images: Array, labels: Array) -> set[tuple[bytes, str]]:
    return {(image.tobytes(), str(label)) for image, label in zip(images, labels.tolist(), strict=True)}


@pytest.mark.parametrize(
    "files",
    [
        mnist(),
        mnist("MNIST/raw/{}-{}.idx{}-ubyte"),
        mnist("{}-{}-idx{}-ubyte.gz", gzip.compress),
    ],
    ids=["plain", "dots", "gz"],
)
def test_mnists_files_are_taken_as_published(checked: Check, tmp_path: Path, files: Files) -> None:
    result = checked(files)
    train, test = stored(result, tmp_path)
    assert (train, test) == (given(TRAIN, TRAIN_LABELS), given(TEST, TEST_LABELS))
    assert (result["info"]["channels"], result["info"]["held_out"]) == (1, ["valid"])


ARRAYS: dict[str, dict[str, Array]] = {
    "keras": {"x_train": TRAIN, "y_train": TRAIN_LABELS, "x_test": TEST, "y_test": TEST_LABELS},
    "medmnist": {
        "train_images": TRAIN,
        "train_labels": TRAIN_LABELS[:, None],
        "test_images": TEST,
        "test_labels": TEST_LABELS[:, None].astype(np.float64),
    },
    "floats": {"X_train": TRAIN / 255, "y_train": TRAIN_LABELS, "X_test": TEST / 255, "y_test": TEST_LABELS},
    "deep": {
        "train_images": TRAIN.astype(np.uint16) * 257,
        "train_labels": TRAIN_LABELS,
        "test_images": TEST.astype(np.int64),
        "test_labels": TEST_LABELS,
    },
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_an_npz_is_taken_alone_and_within_an_archive(checked: Check, tmp_path: Path, kind: str) -> None:
    for upload in (npz(**ARRAYS[kind]), npz_compressed(**ARRAYS[kind]), tar_of({"a/set.npz": npz(**ARRAYS[kind])})):
        train, test = stored(checked(upload), tmp_path)
        assert (train, test) == (given(TRAIN, TRAIN_LABELS), given(TEST, TEST_LABELS))


def test_images_and_labels_alone_are_split_and_keep_the_names_of_their_classes(checked: Check, tmp_path: Path) -> None:
    colour, names = drawn(40, 8, 8, 3), np.array(["cat", "dog"] * 20)
    result = checked(npz(images=colour, labels=names))
    train, test = stored(result, tmp_path)
    assert train | test == given(colour.transpose(0, 3, 1, 2), names)
    assert result["info"]["held_out"] == ["test", "valid"]


def test_arrays_are_scaled_to_the_size_that_is_asked_for(checked: Check) -> None:
    info = checked(npz(images=TRAIN, labels=TRAIN_LABELS), size=12)["info"]
    assert (info["height"], info["width"]) == (12, 12)


def cifar(protocol: int = 2, fine: bool = False) -> tuple[Files, Array, Array, list[str]]:
    """The files, the images (50, 3, 8, 8), their labels, and the names of the classes; the last 10 are for testing."""
    images, labels = drawn(50, 3, 8, 8), np.arange(50) % 4
    names = ["apple", "bear", "cloud", "dish"]

    def batch(part: slice) -> bytes:
        content = {"data": images[part].reshape(-1, 192), "filenames": ["x.png"] * len(labels[part])}
        told = labels[part].tolist()
        told = {"fine_labels": told, "coarse_labels": [0] * len(told)} if fine else {"labels": told}
        return pickle.dumps({**content, **told}, protocol)

    if fine:
        meta = pickle.dumps({"fine_label_names": names, "coarse_label_names": ["all"]}, protocol)
        return {"c/train": batch(slice(0, 40)), "c/test": batch(slice(40, 50)), "c/meta": meta}, images, labels, names
    files = {f"c/data_batch_{i + 1}": batch(slice(8 * i, 8 * i + 8)) for i in range(5)}
    meta = pickle.dumps({"label_names": names, "num_cases_per_batch": 8}, protocol)
    return (
        {**files, "c/test_batch": batch(slice(40, 50)), "c/batches.meta": meta, "c/readme.html": b"x"},
        images,
        labels,
        names,
    )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("fine", [False, True])
def test_cifars_batches_are_read_with_the_names_of_their_classes(
    checked: Check, tmp_path: Path, protocol: int, fine: bool
) -> None:
    files, images, labels, names = cifar(protocol, fine)
    train, test = stored(checked(tar_of(files, "w:gz")), tmp_path)
    named = np.array(names)[labels]
    assert (train, test) == (given(images[:40], named[:40]), given(images[40:], named[40:]))


class _Code:
    """A pickle that would run a command when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self._marker}",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_batch_that_would_run_code_is_refused_and_runs_none(checked: Check, tmp_path: Path, protocol: int) -> None:
    code = pickle.dumps({"data": drawn(4, 192), "labels": _Code(tmp_path / "ran")}, protocol)
    error = checked(tar_of({"data_batch_1": code}))["error"]
    assert "data_batch_1 holds pickled objects besides arrays, numbers and text" in error
    assert not (tmp_path / "ran").exists()


def test_an_npz_of_objects_is_refused_and_runs_no_code(checked: Check, tmp_path: Path) -> None:
    objects = np.array([_Code(tmp_path / "ran")], dtype=object)
    assert "Python objects" in checked(npz(x_train=objects, y_train=np.zeros(1)))["error"]
    assert not (tmp_path / "ran").exists()


def _huge_header() -> bytes:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999, 8, 8), }"
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("upload", "says"),
    [
        (npz(x_train=TRAIN, y_train=TRAIN_LABELS[:39]), "40 images and 39 labels"),
        (npz(x_train=TRAIN), "40 images and 0 labels"),
        (npz(arr_0=TRAIN, arr_1=TRAIN_LABELS), "x_train and y_train"),
        (npz(images=TRAIN - 3.5, labels=TRAIN_LABELS), "expected whole numbers 0..255"),
        (npz(images=drawn(4, 8, 8, 5), labels=np.arange(4)), "shape (4, 8, 8, 5)"),
        (npz(images=TRAIN, labels=np.eye(40)), "expected one label an image"),
        (_huge_header(), "is not a .npy of numbers or texts"),
        (tar_of({"train-images-idx3-ubyte": idx(TRAIN)[:-1]}), "damaged idx"),
        (tar_of({"train-images-idx3-ubyte.gz": gzip.compress(idx(TRAIN))[:-9]}), "damaged .gz"),
        (tar_of({"x.npz": npz(images=TRAIN)[:-30]}), "damaged .npz"),
        (tar_of({"data_batch_1": pickle.dumps({"data": drawn(4, 192)}, 2)[:-40]}), "its pickle"),
    ],
)
def test_arrays_that_make_no_set_are_refused_with_their_cause(checked: Check, upload: bytes, says: str) -> None:
    assert says in checked(upload)["error"]


def test_a_gz_or_npz_bomb_within_an_archive_is_refused(checked: Check) -> None:
    zeros = bytes(70 * 2**20)
    for name, content in (
        ("train-images-idx3-ubyte.gz", gzip.compress(zeros)),
        ("x.npz", npz_compressed(x_train=np.frombuffer(zeros, dtype=np.uint8))),
    ):
        assert "unpacks to more than" in checked(tar_of({name: content}))["error"]


def test_image_files_go_before_arrays_which_are_then_listed(checked: Check) -> None:
    result = checked({**pets(each=10), "features.npz": npz(x_train=TRAIN, y_train=TRAIN_LABELS)})
    assert result["info"]["classes"] == ["cat", "dog"]


def test_damaged_tar_members_do_not_reach_the_arrays(checked: Check) -> None:
    whole = tar_of(mnist())
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        assert len(archive.getnames()) == 4
    assert "damaged or was cut short" in checked(whole[: len(whole) // 2])["error"]
