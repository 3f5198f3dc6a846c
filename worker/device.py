"""Names the device that the worker computes on, without torch, which the main process does not import."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess


def device_name() -> str:
    """The GPU's name as its driver gives it, or the processor's architecture."""
    tool = shutil.which("nvidia-smi")
    if tool is not None and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
        wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        query = [tool, "--query-gpu=name", "--format=csv,noheader", f"--id={wanted}"]
        try:
            answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError):  # a driver that hangs or does not match
            return "gpu (its driver gives no name)"
        if answer.stdout.strip():
            return ", ".join(line.strip() for line in answer.stdout.splitlines())[:200]
    return f"cpu ({platform.machine()}, {os.cpu_count()} cores)"
