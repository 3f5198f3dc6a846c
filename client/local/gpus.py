"""Which GPUs the workers get, found without torch."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from client.local.errors import StackError

_UUID = re.compile(r"UUID: (GPU|MIG)-([0-9a-zA-Z-/]+)")


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """A CUDA_VISIBLE_DEVICES value for each GPU, none without a driver. The variable itself, if set, is obeyed."""
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        devices = [device.strip() for device in chosen.split(",")]
        # CUDA ignores what follows the first device that does not exist.
        ends = next((i for i, device in enumerate(devices) if device in ("", "-1")), len(devices))
        return devices[:ends]
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=True)
        return listed_gpus(listing.stdout)
    except (OSError, subprocess.SubprocessError):
        devices_known = Path("/proc/driver/nvidia/gpus")
        return [str(index) for index, _ in enumerate(devices_known.iterdir())] if devices_known.is_dir() else []


def dealt(devices: list[str], each: int) -> list[str]:
    """A CUDA_VISIBLE_DEVICES value for each worker of `each` GPUs; what is left over is not used.

    None on a machine without GPUs. Raises StackError where there are some, but too few for one worker.
    """
    if devices and len(devices) < each:
        raise StackError(f"a worker of {each} GPUs is asked for, this machine has {len(devices)}: {', '.join(devices)}")
    return [",".join(devices[first : first + each]) for first in range(0, len(devices) - each + 1, each)]


def listed_gpus(listing: str) -> list[str]:
    """The devices in `nvidia-smi -L`: by UUID, since CUDA may number them otherwise; the slices of a split GPU."""
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
