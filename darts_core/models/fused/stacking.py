"""Stacks tensors, without a copy if they are adjacent in one storage."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


@torch.no_grad()
def side_by_side(tensors: Sequence[Tensor]) -> Tensor | None:
    """View dense, adjacent tensors of one storage as (len(tensors), numel), detached; None if they are not adjacent."""
    first = tensors[0]
    numel, step, address = first.numel(), first.numel() * first.element_size(), first.data_ptr()
    for place, tensor in enumerate(tensors):
        if tensor.data_ptr() != address + place * step or tensor.dtype != first.dtype:
            return None
    offset = first.storage_offset()
    if (offset + numel * len(tensors)) * first.element_size() > first.untyped_storage().nbytes():
        return None  # adjacent by chance, in different storages
    return first.as_strided((len(tensors), numel), (numel, 1), offset)


@torch.no_grad()
def stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Stack the tensors as (len(tensors), numel), detached; a view if possible."""
    view = side_by_side(tensors)
    return torch.stack([tensor.reshape(-1) for tensor in tensors]) if view is None else view
