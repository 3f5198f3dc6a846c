"""Published sets that are not on disk are listed as such."""

from __future__ import annotations

from uuid import uuid4

import pytest

from api.datasets.availability import Holdings, availability_of
from api.schemas.worker import Presence
from client.sdk import Dartboard
from worker.api_client import WorkerApi


@pytest.mark.parametrize(
    ("name", "holdings", "expected"),
    [
        ("digits", {}, ("ready", None)),
        ("cifar10", {}, ("downloads on first use", [])),
        ("imagenet", {"old": None}, ("needs files", [])),
        ("ptb", {"a": ["ptb"], "old": None}, ("ready", ["a"])),
        ("ptb", {"a": ["ptb"], "b": []}, ("needs files", ["a"])),
        ("cifar10", {"b": ["cifar10"], "a": ["cifar10"]}, ("ready", ["a", "b"])),
    ],
)
def test_a_set_is_ready_where_all_workers_that_tell_hold_it(
    name: str, holdings: Holdings, expected: tuple[str, list[str] | None]
) -> None:
    assert availability_of(name, holdings) == expected


def test_lists_say_which_living_workers_hold_a_set(dartboard: Dartboard, worker_api: WorkerApi) -> None:
    before = {dataset.name: dataset for dataset in dartboard.datasets()}
    assert before["imagenet"].availability == "needs files"
    assert before["imagenet"].files == ["imagenet/train", "imagenet/val"]
    assert (before["python-docs"].availability, before["python-docs"].files) == ("ready", None)
    assert before["ptb"].files == ["ptb"]
    worker = f"with-imagenet-{uuid4().hex[:8]}"
    worker_api.show(Presence(name=worker, pools=["none"], device="cpu", version="1", datasets=["imagenet"]))
    assert (dartboard.dataset("imagenet").availability, dartboard.dataset("imagenet").held_by) == ("ready", [worker])
    assert dartboard.dataset("cifar10").held_by == []
