"""GPUs, found without CUDA."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from darts_core.runtime.gpus import listed_gpus, visible_gpus

pytestmark = pytest.mark.light


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


class _NvmlError(Exception):
    """What the library raises."""


def nvml(*gpus: tuple[str, list[str | None] | None]) -> SimpleNamespace:
    """A library that knows these: of each its UUID and, if it is split, its slices with the gaps between them."""

    def slices(handle: int) -> list[str | None]:
        found = gpus[handle][1]
        if found is None:
            raise _NvmlError("not supported")
        return found

    def mode(handle: int) -> list[int]:
        slices(handle)
        return [1, 1]

    def one_slice(handle: int, index: int) -> str:
        found = slices(handle)[index]
        if found is None:
            raise _NvmlError("not found")
        return found

    return SimpleNamespace(
        NVMLError=_NvmlError,
        NVML_DEVICE_MIG_ENABLE=1,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(gpus),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMigMode=mode,
        nvmlDeviceGetMaxMigDeviceCount=lambda handle: len(slices(handle)),
        nvmlDeviceGetMigDeviceHandleByIndex=one_slice,
        nvmlDeviceGetUUID=lambda handle: gpus[handle][0] if isinstance(handle, int) else handle,
    )


@pytest.mark.parametrize(
    ("gpus", "devices"),
    [
        ([], []),
        ([("GPU-1", None), ("GPU-2", None)], ["GPU-1", "GPU-2"]),
        ([("GPU-1", ["MIG-a", None, "MIG-b"]), ("GPU-2", None)], ["MIG-a", "MIG-b", "GPU-2"]),
    ],
)
def test_the_driver_s_library_is_asked_for_uuids(
    monkeypatch: pytest.MonkeyPatch, gpus: list[tuple[str, list[str | None] | None]], devices: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml(*gpus))
    assert visible_gpus({}) == devices


def test_without_the_driver_s_library_its_tool_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A100 (UUID: GPU-11-aa)'\n")
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus({}) == ["GPU-11-aa"]
