"""Implements the passes over the grids of factorized reduces by torch operations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.models.fused.algebra import Folded, Inputs, Moments
from darts_core.models.fused.backend import added


class TorchGrids:
    """See `CellBackend`."""

    def grids(self, s: Tensor, *, moments: bool) -> tuple[Tensor, Moments | None]:
        x = s.relu()
        height, width = x.shape[-2:]
        shifted = F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1::2, 1::2]
        x = torch.stack([x[:, :, ::2, ::2], shifted], 1)
        if not moments:
            return x, None
        flat = _summable(x.flatten(3))
        products = torch.matmul(flat, flat.transpose(-1, -2)).sum(0, dtype=torch.float64)
        return x, Moments(flat.sum((0, 3), dtype=torch.float64).unsqueeze(0), products.unsqueeze(0))

    def grids_add(self, x: Tensor, of: Folded, out: Tensor) -> None:
        a = of.matrix
        edges, halves, channels = a.shape[:3]
        flat = torch.matmul(a.transpose(0, 1).flatten(1, 2).to(x.dtype), x.flatten(3))  # (N, 2, E * C / 2, H * W)
        added = flat.view(len(x), halves, edges, channels, *x.shape[3:]).transpose(1, 2)
        out.view(*out.shape[:2], halves, channels, *out.shape[3:]).add_(added)

    def grids_products(self, g: Tensor, x: Tensor) -> Tensor:
        halved = _halved(g)
        outer = torch.matmul(_summable(halved.flatten(4)), _summable(x.flatten(3)).unsqueeze(1).transpose(-1, -2))
        return outer.sum(0, dtype=torch.float64)

    def grids_backward(self, g: Tensor, x: Tensor, inputs: Inputs, s: Tensor, into: Tensor | None) -> Tensor:
        halved = _halved(g).transpose(1, 2).flatten(2, 3).flatten(3)  # (N, 2, E * C / 2, H * W)
        towards = torch.matmul(inputs.direct.permute(1, 2, 0, 3).flatten(2).to(x.dtype), halved)
        if inputs.feedback is not None and inputs.constant is not None:
            towards += torch.matmul(inputs.feedback.sum(0).to(x.dtype), x.flatten(3))
            towards += inputs.constant.sum(0).unsqueeze(-1)
        towards = towards.view_as(x)
        result = torch.zeros_like(s)
        height, width = s.shape[-2:]
        result[:, :, ::2, ::2] = towards[:, 0]
        result[:, :, 1::2, 1::2] = towards[:, 1, :, : height // 2, : width // 2]
        return added(result.mul_(s > 0), into)


def _summable(x: Tensor) -> Tensor:
    # A product has the type of its factors, in which bf16 would round the sum.
    return x.float() if x.dtype == torch.bfloat16 else x


def _halved(g: Tensor) -> Tensor:
    return g.view(*g.shape[:2], 2, -1, *g.shape[3:])
