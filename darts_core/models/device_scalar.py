"""Holds a number in one scalar tensor on a device, where recorded steps read its present value."""

from __future__ import annotations

import torch
from torch import Tensor


class DeviceScalar:
    """A number that the host sets and the device reads. Setting it never waits for the device."""

    def __init__(self) -> None:
        self._tensor = torch.empty(())
        self._value: float | None = None

    def holding(self, value: float, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return the scalar with this value: the same tensor in every call with the same device and type."""
        if self._value is None or self._tensor.device != device or self._tensor.dtype != dtype:
            self._tensor = torch.full((), value, device=device, dtype=dtype)
        elif value != self._value:
            self._tensor.fill_(value)
        self._value = value
        return self._tensor
