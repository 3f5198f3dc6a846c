"""Equality of checkpoints and their contents to the last bit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def assert_same_bits(a: Any, b: Any) -> None:
    """Nested dictionaries and lists whose tensors are equal bit for bit."""
    if isinstance(a, Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same_bits(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same_bits(x, y)
    else:
        assert a == b
