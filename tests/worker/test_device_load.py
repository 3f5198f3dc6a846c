"""A worker's report on its devices. Without a GPU the driver's library is simulated after its documentation."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import psutil
import pytest
import torch

from worker.device_load import DeviceLoads


class Driver(ModuleType):
    """NVML with two GPUs, of which the second is a slice: it has memory, and no utilisation."""

    class NVMLError(Exception):
        pass

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        if index > 0:
            raise self.NVMLError("Invalid Argument")
        return "whole"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return "slice" if uuid.startswith("MIG") else "whole"

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:
        return (
            SimpleNamespace(used=3 * 2**30, total=80 * 2**30) if handle == "whole" else SimpleNamespace(used=1, total=2)
        )

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> SimpleNamespace:
        if handle == "slice":
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(gpu=97, memory=40)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Driver("pynvml"))


def test_without_a_gpu_it_is_the_machine_s_memory_at_once_and_its_processors_from_the_second_time_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    loads = DeviceLoads(gpus=1)
    [first] = loads.read()
    assert first.utilisation is None
    assert 0 < first.memory_used < first.memory_total == psutil.virtual_memory().total
    [second] = loads.read()
    assert second.utilisation is not None


def test_each_gpu_that_the_worker_was_given_speaks_for_itself(driver: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1, MIG-2")
    whole, part = DeviceLoads(gpus=2).read()
    assert (whole.name, whole.memory_used, whole.memory_total, whole.utilisation) == (
        "GPU-1",
        3 * 2**30,
        80 * 2**30,
        97,
    )
    assert (part.name, part.memory_total, part.utilisation) == ("MIG-2", 2, None)


def test_a_gpu_that_the_driver_does_not_know_is_left_out(driver: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [each.name for each in DeviceLoads(gpus=2).read()] == ["gpu 0"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_drivers_memory_equals_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    [load] = DeviceLoads(gpus=1).read()
    free, total = torch.cuda.mem_get_info(0)
    assert load.memory_total == pytest.approx(total, rel=0.03)
    assert load.memory_used == pytest.approx(total - free, abs=2**30)
    assert load.utilisation is not None
