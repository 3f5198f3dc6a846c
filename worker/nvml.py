"""Finds the worker's GPUs in NVIDIA's management library, NVML."""

from __future__ import annotations

import os
from typing import Any

import structlog

_log = structlog.get_logger(__name__)


def handles_of(gpus: int) -> dict[str, Any]:
    """NVML's handles of the worker's GPUs, by their names; empty without a driver.

    gpus: how many the worker has, where CUDA_VISIBLE_DEVICES does not name them.
    """
    devices = _visible(gpus)
    if not devices:
        return {}
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    found = {}
    for device in devices:
        try:
            if device.isdecimal():
                found[f"gpu {device}"] = pynvml.nvmlDeviceGetHandleByIndex(int(device))
            else:
                found[device] = pynvml.nvmlDeviceGetHandleByUUID(device)
        except pynvml.NVMLError as error:
            _log.warning("gpu_unknown", device=device, error=str(error))
    return found


def _visible(gpus: int) -> list[str]:
    """Indices or UUIDs, as CUDA_VISIBLE_DEVICES has them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return [str(index) for index in range(gpus)]
    return [device for part in chosen.split(",") if (device := part.strip()) not in ("", "-1")]
