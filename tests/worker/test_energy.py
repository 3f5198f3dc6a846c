"""The energy of a worker's GPUs. Without a GPU the driver's library is simulated after its documentation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from types import ModuleType

import pytest

from worker.energy import EnergyMeter


class Driver(ModuleType):
    """NVML with GPUs that count 500 mJ from reading to reading, and slices of a split one, which do not tell."""

    class NVMLError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.readings: Iterator[int] = count(10_000, 500)

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        if handle.startswith("MIG"):
            raise self.NVMLError("Not Supported")
        return next(self.readings)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    return driver


def test_it_is_the_sum_of_all_gpus_since_the_meter_was_made(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1,GPU-2")
    meter = EnergyMeter(gpus=2)
    assert [meter.joules(), meter.joules()] == [2.0, 4.0]


def test_a_counter_that_began_anew_gives_no_negative_energy(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1")
    meter = EnergyMeter(gpus=1)
    driver.readings = iter([0])
    assert meter.joules() == 0


@pytest.mark.parametrize("devices", ["", "MIG-1", "GPU-1,MIG-1"])
def test_where_a_gpu_does_not_tell_there_is_none(driver: Driver, monkeypatch: pytest.MonkeyPatch, devices: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
    assert EnergyMeter(gpus=1).joules() is None
