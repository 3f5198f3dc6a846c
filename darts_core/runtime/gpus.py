"""Lists this machine's GPUs without initialising CUDA: a process that has initialised CUDA cannot fork others."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_UUID = re.compile(r"UUID: (GPU|MIG)-([0-9a-zA-Z-/]+)")
# Signs of GPUs that torch may find and NVIDIA's tools do not report: no tools installed, WSL, AMD.
_DRIVERS = (Path("/proc/driver/nvidia/gpus"), Path("/dev/dxg"), Path("/dev/kfd"))


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """A CUDA_VISIBLE_DEVICES value for each GPU, none without a driver. Honours the variable itself if set."""
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        devices = [device.strip() for device in chosen.split(",")]
        # CUDA ignores everything after the first device that does not exist.
        ends = next((i for i, device in enumerate(devices) if device in ("", "-1")), len(devices))
        return devices[:ends]
    for find in (_by_nvml, _by_tool):
        if (found := find()) is not None:
            return found
    return _by_torch()


def listed_gpus(listing: str) -> list[str]:
    """The devices in `nvidia-smi -L`: by UUID, since CUDA may number them differently; slices of a split GPU count."""
    devices: list[str] = []
    split: str | None = None
    for kind, number in _UUID.findall(listing):
        if kind == "MIG":
            if devices and devices[-1] == split:
                devices.pop()
            split = None
        else:
            split = f"GPU-{number}"
        devices.append(f"{kind}-{number}")
    return devices


def _by_nvml() -> list[str] | None:
    """None without the NVML library."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # not installed, no driver, or a mismatched one: each raises another error
        return None
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [device for handle in handles for device in _of_handle(pynvml, handle)]
    except pynvml.NVMLError:
        return None
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _of_handle(nvml: Any, handle: Any) -> Iterator[str]:
    try:
        is_split = nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE
    except nvml.NVMLError:  # MIG is not supported
        is_split = False
    if not is_split:
        yield nvml.nvmlDeviceGetUUID(handle)
        return
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with contextlib.suppress(nvml.NVMLError):  # slice numbers may have gaps
            yield nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))


def _by_tool() -> list[str] | None:
    """None when the tool is missing or fails."""
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return listed_gpus(listing.stdout)


def _by_torch() -> list[str]:
    """As numbered by torch, asked in a child process."""
    if not any(driver.exists() for driver in _DRIVERS):
        return []
    ask = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=120, check=True)
        return [str(index) for index in range(int(answer.stdout))]
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
