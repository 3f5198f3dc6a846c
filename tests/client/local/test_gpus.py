"""GPUs, counted without torch."""

import pytest

from client.local.errors import StackError
from client.local.gpus import dealt, listed_gpus, visible_gpus


@pytest.mark.parametrize(
    ("chosen", "devices"),
    [
        ("", []),
        ("-1", []),
        ("0", ["0"]),
        ("3, 5", ["3", "5"]),
        ("0,-1,1", ["0"]),
        ("GPU-ab,GPU-cd", ["GPU-ab", "GPU-cd"]),
    ],
)
def test_users_choice_of_devices_is_obeyed(chosen: str, devices: list[str]) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": chosen}) == devices


def test_gpus_are_listed_by_uuid() -> None:
    listing = "GPU 0: NVIDIA A100 (UUID: GPU-11-aa)\nGPU 1: NVIDIA A100 (UUID: GPU-22-bb)\n"
    assert listed_gpus(listing) == ["GPU-11-aa", "GPU-22-bb"]


def test_split_gpu_is_listed_by_its_slices() -> None:
    listing = (
        "GPU 0: NVIDIA A100 (UUID: GPU-11)\n"
        "  MIG 3g.20gb     Device  0: (UUID: MIG-aa)\n"
        "  MIG 3g.20gb     Device  1: (UUID: MIG-bb)\n"
        "GPU 1: NVIDIA A100 (UUID: GPU-22)\n"
    )
    assert listed_gpus(listing) == ["MIG-aa", "MIG-bb", "GPU-22"]


@pytest.mark.parametrize(
    ("devices", "each", "workers"),
    [
        (["a", "b", "c"], 1, ["a", "b", "c"]),
        (["a", "b", "c", "d", "e"], 2, ["a,b", "c,d"]),
        (["a", "b"], 2, ["a,b"]),
        ([], 2, []),
    ],
)
def test_each_worker_gets_gpus_of_its_own(devices: list[str], each: int, workers: list[str]) -> None:
    assert dealt(devices, each) == workers


def test_worker_of_more_gpus_than_there_are_is_refused() -> None:
    with pytest.raises(StackError, match="a worker of 4 GPUs is asked for, this machine has 2: a, b"):
        dealt(["a", "b"], 4)
