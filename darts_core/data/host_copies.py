"""Copies tensors of the host to a device without waiting for the device."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy a CPU tensor to the device; a GPU gets it from pinned memory, behind the work already queued.

    From pageable memory the call would wait until the GPU has taken the copy.
    """
    if device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
