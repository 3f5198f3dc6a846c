"""How GPUs are dealt out to workers."""

import pytest

from darts_core.runtime.errors import StackError
from darts_core.runtime.gpu_groups import GpuGroup, groups_of, plan

pytestmark = pytest.mark.light

EIGHT = [f"GPU-{letter}" for letter in "abcdefgh"]


@pytest.mark.parametrize(
    ("devices", "wanted", "groups"),
    [
        ([], None, [GpuGroup(1)]),
        ([], "2", [GpuGroup(2)]),
        (EIGHT[:1], None, [GpuGroup(1, ("GPU-a",))]),
        (EIGHT[:4], None, [GpuGroup(1, (device,)) for device in EIGHT[:4]]),
        (EIGHT[:4], "", [GpuGroup(1, (device,)) for device in EIGHT[:4]]),
        (EIGHT[:4], " 2, 1,1 ", [GpuGroup(2, ("GPU-a", "GPU-b")), GpuGroup(1, ("GPU-c",)), GpuGroup(1, ("GPU-d",))]),
        (
            EIGHT,
            "2,2,4",
            [GpuGroup(2, tuple(EIGHT[:2])), GpuGroup(2, tuple(EIGHT[2:4])), GpuGroup(4, tuple(EIGHT[4:]))],
        ),
        (EIGHT, "2", [GpuGroup(2, ("GPU-a", "GPU-b"))]),
        (["3", "5", "6"], "2", [GpuGroup(2, ("3", "5"))]),
        (["MIG-a", "MIG-b"], None, [GpuGroup(1, ("MIG-a",)), GpuGroup(1, ("MIG-b",))]),
        (["MIG-a", "GPU-b", "GPU-c"], "2,1", [GpuGroup(2, ("GPU-b", "GPU-c")), GpuGroup(1, ("MIG-a",))]),
    ],
)
def test_each_group_has_gpus_of_its_own(devices: list[str], wanted: str | None, groups: list[GpuGroup]) -> None:
    assert plan(devices, wanted) == groups


@pytest.mark.parametrize(
    ("devices", "wanted", "message"),
    [
        (EIGHT[:3], "2,2", "DARTBOARD_GPUS=2,2 wants 4 GPUs, and this machine has 3.*DARTBOARD_GPUS=2,1 would fit"),
        (EIGHT[:2], "4", "wants 4 GPUs, and this machine has 2: GPU-a, GPU-b; DARTBOARD_GPUS=2 would fit"),
        (EIGHT, "2,x", "'x' is not a number from 1 to 64"),
        (EIGHT, "2,,1", "'' is not a number"),
        (EIGHT, "-1", "'-1' is not a number"),
        (EIGHT, "0", "'0' is not a number.*to compute on the CPU, set CUDA_VISIBLE_DEVICES to nothing"),
        (["MIG-a", "MIG-b"], "2", "a group of 2 needs whole GPUs, and 0 of MIG-a, MIG-b are"),
    ],
)
def test_gpus_that_cannot_be_divided_are_refused_with_the_way_out(
    devices: list[str], wanted: str, message: str
) -> None:
    with pytest.raises(StackError, match=message):
        plan(devices, wanted)


def test_groups_are_made_of_the_gpus_that_the_user_has_chosen() -> None:
    [pair, single] = groups_of({"CUDA_VISIBLE_DEVICES": "3,5,6", "DARTBOARD_GPUS": "2,1"})
    assert pair.environment == {"CUDA_VISIBLE_DEVICES": "3,5", "DARTBOARD_GPUS": "2"}
    assert single.environment == {"CUDA_VISIBLE_DEVICES": "6", "DARTBOARD_GPUS": "1"}


def test_a_worker_that_is_told_one_group_finds_that_group() -> None:
    for group in plan(EIGHT, "2,2,4"):
        assert groups_of(group.environment) == [group]
