"""Tensors that are used together, as one: without a copy where they lie side by side in memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


@torch.no_grad()
def side_by_side(tensors: Sequence[Tensor]) -> Tensor | None:
    """A view (len(tensors), numel) of dense tensors that follow each other in one storage, no graph; else None."""
    first = tensors[0]
    numel, step, address = first.numel(), first.numel() * first.element_size(), first.data_ptr()
    for place, tensor in enumerate(tensors):
        if tensor.data_ptr() != address + place * step or tensor.dtype != first.dtype:
            return None
    offset = first.storage_offset()
    if (offset + numel * len(tensors)) * first.element_size() > first.untyped_storage().nbytes():
        return None  # neighbours by chance, each in a storage of its own
    return first.as_strided((len(tensors), numel), (numel, 1), offset)


@torch.no_grad()
def stacked(tensors: Sequence[Tensor]) -> Tensor:
    """(len(tensors), numel), without a graph; a view where it can be."""
    view = side_by_side(tensors)
    return torch.stack([tensor.reshape(-1) for tensor in tensors]) if view is None else view
