"""All edges that leave one state of the search cell: every activation, weighted, once per (state, node).

An edge gives kept * s + g * (sum_k share_k f_k(h) - kept * s), where kept is what all operations but `none` weigh
together and g = sigmoid(c): the gate is one for all operations of an edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from darts_core.models.recurrent.gates import ACTIVATIONS

_aten: Any = torch.ops.aten


class Mixture:
    """n edges. Products are (n, 2, size, B), [c, h] of each edge; sums (n, size, B), one for the node of each edge."""

    def __init__(self, primitives: Sequence[str], shares: Tensor) -> None:
        """shares: (n, primitives)."""
        # `none` is a candidate of its own, put through no gate: it adds nothing at all.
        self._operations = [
            (k, ACTIVATIONS[op], shares[:, k, None, None]) for k, op in enumerate(primitives) if op != "none"
        ]
        self._kept = torch.stack([share for _, _, share in self._operations]).sum(dim=0)

    def forward(self, state: Tensor, product: Tensor, sums: Tensor) -> None:
        """Add what the edges give to `sums`. Of `product`, c becomes g."""
        gate, candidate = product.unbind(1)
        gate.sigmoid_()
        kept = self._kept * state
        sums += kept
        mixed = kept.neg_()
        for _, activation, share in self._operations:
            mixed.addcmul_(activation.value(candidate), share)
        sums.addcmul_(gate, mixed)

    def backward(self, gradient: Tensor, state: Tensor, product: Tensor, of_shares: Tensor | None) -> Tensor:
        """The gradient of `state` past the product; `product`, as `forward` left it, becomes its own gradient.

        gradient: of the sums. of_shares: (n, primitives), to which the shares' is added; None if it is not needed.
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
