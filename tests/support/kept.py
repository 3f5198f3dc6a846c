"""Counts what autograd keeps for a backward pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Kept:
    """Bytes of what autograd keeps within the context, each tensor once, the network's own aside."""

    def __init__(self, network: nn.Module) -> None:
        self._own = {t.untyped_storage()._cdata for t in (*network.parameters(), *network.buffers())}
        self._seen: dict[int, Tensor] = {}

    def __enter__(self) -> Kept:
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in self._own:
            self._seen[storage] = tensor
        return tensor

    @property
    def bytes(self) -> int:
        return sum(tensor.untyped_storage().nbytes() for tensor in self._seen.values())
