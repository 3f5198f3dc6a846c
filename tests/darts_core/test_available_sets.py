"""The published sets that a data root holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from torchvision.datasets import CIFAR10, CIFAR100, FashionMNIST

from darts_core.data.available_sets import DOWNLOADED, PUBLISHED, SHIPPED, held_sets


def test_an_empty_data_root_holds_the_built_in_sets(tmp_path: Path) -> None:
    assert held_sets(tmp_path) == sorted(SHIPPED)


@pytest.mark.parametrize("name", sorted(set(PUBLISHED) - SHIPPED))
def test_a_set_is_held_once_all_its_files_are_there(name: str, tmp_path: Path) -> None:
    files = {
        "cifar10": [f"{CIFAR10.base_folder}/{file}" for file, _ in (*CIFAR10.train_list, *CIFAR10.test_list)]
        + [f"{CIFAR10.base_folder}/{CIFAR10.meta['filename']}"],
        "cifar100": [f"{CIFAR100.base_folder}/{file}" for file, _ in (*CIFAR100.train_list, *CIFAR100.test_list)]
        + [f"{CIFAR100.base_folder}/{CIFAR100.meta['filename']}"],
        "fashion-mnist": [f"FashionMNIST/raw/{file.removesuffix('.gz')}" for file, _ in FashionMNIST.resources],
        "imagenet": ["imagenet/train/n01/0.JPEG", "imagenet/val/n01/0.JPEG"],
    }.get(name, [f"{name}/train.txt"])
    for file in files:
        assert name not in held_sets(tmp_path)
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert name in held_sets(tmp_path)


def test_downloadable_and_shipped_sets_are_published(tmp_path: Path) -> None:
    assert set(PUBLISHED) >= DOWNLOADED | SHIPPED
