"""Computes softmax cross-entropy over a vocabulary without holding all logits at once.

Each chunk of rows computes its logits and loss, and at once the gradients of the rows and the decoder, so that no
tensor of size (rows, words) outlives its chunk.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from darts_core.models.recurrent.single_backward import check_single_backward

# Logits per chunk: few enough for a CPU's last-level cache, with enough rows for an efficient matrix product.
_CHUNK_ELEMENTS: Final = 2**22
# A GPU's chunk is so many times as large: each takes some ten launches.
_ON_GPUS: Final = 8


def tied_cross_entropy(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of x @ weight.T + bias over all rows, in nats.

    x: (rows, size). weight: (words, size). bias: (words,). targets: (rows,), int64. Allows a single backward pass.
    """
    loss: Tensor = _TiedCrossEntropy.apply(x, weight, bias, targets, torch.is_grad_enabled())
    return loss


class _TiedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, keep: bool) -> Tensor:
        needed = [keep and needs for needs in ctx.needs_input_grad[:3]]
        of_x = torch.empty_like(x) if needed[0] else None
        of_weight = torch.zeros_like(weight) if needed[1] else None
        of_bias = torch.zeros_like(bias) if needed[2] else None
        rows, words = len(x), len(weight)
        elements = _CHUNK_ELEMENTS * (_ON_GPUS if x.is_cuda else 1)
        chunk = min(rows, max(1, elements // words))
        buffers = x.new_empty(2, chunk, words)
        loss = x.new_zeros(())
        for start in range(0, rows, chunk):
            part, wanted = x[start : start + chunk], targets[start : start + chunk, None]
            logits, scores = buffers[:, : len(part)]
            torch.addmm(bias, part, weight.T, out=logits)
            torch.log_softmax(logits, dim=1, out=scores)
            loss -= scores.gather(1, wanted).sum()
            if not any(needed):
                continue
            surplus = scores.exp_().scatter_add_(1, wanted, scores.new_full((), -1).expand_as(wanted))
            if of_x is not None:
                torch.mm(surplus, weight, out=of_x[start : start + chunk])
            if of_weight is not None:
                of_weight.addmm_(surplus.T, part, alpha=1 / rows)
            if of_bias is not None:
                of_bias.add_(surplus.sum(dim=0), alpha=1 / rows)
        if of_x is not None:
            of_x /= rows
        ctx.save_for_backward(of_x, of_weight, of_bias)
        return loss / rows

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        check_single_backward(ctx)
        return (*(None if known is None else known.mul_(gradient) for known in ctx.saved_tensors), None, None)
