"""Computes all edges that leave one state of the search cell, with every activation weighted.

An edge adds kept * s + g * (sum_k share_k f_k(h) - kept * s) to its node, where kept is the sum of all shares except
that of `none`, and g = sigmoid(c) is the gate that all operations of the edge share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from darts_core.models.recurrent.gates import ACTIVATIONS

_aten: Any = torch.ops.aten


class Mixture:
    """n edges. Products: [c, h] of each edge, (n, 2, size, B). Sums: one per edge's node, (n, size, B)."""

    def __init__(self, primitives: Sequence[str], shares: Tensor) -> None:
        """shares: (n, primitives)."""
        # `none` has no gate and adds nothing.
        self._operations = [
            (k, ACTIVATIONS[op], shares[:, k, None, None]) for k, op in enumerate(primitives) if op != "none"
        ]
        self._kept = torch.stack([share for _, _, share in self._operations]).sum(dim=0)

    def forward(self, state: Tensor, product: Tensor, sums: Tensor) -> None:
        """Add the edges' outputs to `sums`; overwrites c in `product` by g. state: (size, B)."""
        gate, candidate = product.unbind(1)
        gate.sigmoid_()
        kept = self._kept * state
        sums += kept
        mixed = kept.neg_()
        for _, activation, share in self._operations:
            mixed.addcmul_(activation.value(candidate), share)
        sums.addcmul_(gate, mixed)

    def backward(self, gradient: Tensor, state: Tensor, product: Tensor, of_shares: Tensor | None) -> Tensor:
        """Return the direct gradient of `state`, without the part through the product.

        gradient: of the sums. product: as left by `forward`; overwritten by its gradient. of_shares: (n, primitives),
        to which the gradient of the shares is added; None if not needed.
        """
        gate, candidate = product.unbind(1)
        through = gradient * gate
        past = gradient - through
        mixed = (self._kept * state).neg_()
        slope = torch.zeros_like(through)
        for k, activation, share in self._operations:
            value = activation.value(candidate)
            mixed.addcmul_(value, share)
            slope.addcmul_(activation.backward(through, value), share)
            if of_shares is not None:
                of_shares[:, k] += (through * value).sum(dim=(1, 2))
        if of_shares is not None:
            kept = (past * state).sum(dim=(1, 2))
            for k, _, _ in self._operations:
                of_shares[:, k] += kept
        candidate.copy_(slope)
        gate.copy_(_aten.sigmoid_backward(mixed.mul_(gradient), gate))
        return past.mul_(self._kept).sum(dim=0)
