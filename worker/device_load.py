"""Measures the memory and the utilisation of the worker's devices, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psutil

from api.schemas.worker import DeviceLoad
from worker.nvml import handles_of


class DeviceLoads:
    """The load of the worker's GPUs, else of the machine's processors.

    Keep one and read it from one thread: NVML is initialised once, and a processor's load is measured since the last
    reading.
    """

    def __init__(self, gpus: int) -> None:
        """gpus: how many the worker has, where CUDA_VISIBLE_DEVICES does not name them."""
        self._handles = handles_of(gpus)
        self._read_before = False

    def read(self) -> list[DeviceLoad]:
        """The load of each device; a GPU that NVML cannot read is left out."""
        if self._handles:
            return list(self._gpus())
        # psutil's first answer covers no time.
        busy = psutil.cpu_percent()
        utilisation, self._read_before = busy if self._read_before else None, True
        memory = psutil.virtual_memory()
        used = memory.total - memory.available
        return [DeviceLoad(name="cpu", memory_used=used, memory_total=memory.total, utilisation=utilisation)]

    def _gpus(self) -> Iterator[DeviceLoad]:
        import pynvml

        for name, handle in self._handles.items():
            try:
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            except pynvml.NVMLError:
                continue
            utilisation: float | None = None
            with suppress(pynvml.NVMLError):  # a slice of a split GPU has none of its own
                utilisation = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
            yield DeviceLoad(
                name=name, memory_used=int(memory.used), memory_total=int(memory.total), utilisation=utilisation
            )
