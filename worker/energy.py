"""Measures the energy that the worker's GPUs use."""

from __future__ import annotations

from worker.nvml import handles_of

_PER_JOULE = 1000


class EnergyMeter:
    """Counts from its creation on. Keep one and read it from one thread, since NVML is initialised once."""

    def __init__(self, gpus: int) -> None:
        """gpus: how many the worker has, where CUDA_VISIBLE_DEVICES does not name them."""
        self._handles = list(handles_of(gpus).values())
        self._begin = self._read()

    def joules(self) -> float | None:
        """None where a GPU does not tell, as a slice of a split one, and without a GPU."""
        now = self._read()
        if now is None or self._begin is None:
            return None
        return max(0, now - self._begin) / _PER_JOULE  # the driver may have been loaded anew

    def _read(self) -> int | None:
        """Millijoules of all GPUs since the driver was loaded."""
        if not self._handles:
            return None
        import pynvml

        try:
            return sum(int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) for handle in self._handles)
        except pynvml.NVMLError:
            return None
