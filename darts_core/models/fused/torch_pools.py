"""Implements the passes over pooled maps by torch operations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.models.fused.backend import Pooled, added
from darts_core.models.fused.pool_algebra import FoldedPools, PoolStatistics


class TorchPools:
    """See `CellBackend`."""

    def pool(
        self, states: Sequence[Tensor], names: Sequence[str], stride: int, *, identity: bool
    ) -> tuple[Pooled, PoolStatistics]:
        (s,) = states
        maps, places = [], s.new_empty(0, dtype=torch.int64)
        for name in names:
            if name == "max_pool_3x3":
                map_, places = F.max_pool2d(s, 3, stride, 1, return_indices=True)
            else:
                map_ = F.avg_pool2d(s, 3, stride, 1, count_include_pad=False)
            maps.append(map_)
        pooled = torch.stack([*maps, s] if identity else maps, 1)
        if not names:
            nothing = s.new_empty(0, s.shape[1], dtype=torch.float64)
            return Pooled(pooled, places), PoolStatistics(nothing, nothing)
        variance, mean = torch.var_mean(pooled[:, : len(names)].double(), (0, 3, 4), correction=0)
        return Pooled(pooled, places), PoolStatistics(mean, variance)

    def mix(self, pooled: Pooled, of: FoldedPools, out: Tensor) -> None:
        """Add the scaled maps to `out`."""
        for place, map_ in enumerate(pooled.maps.unbind(1)):
            out.addcmul_(map_.unsqueeze(1), of.coefficients[:, place, :, None, None])

    def mix_products(self, g: Tensor, pooled: Pooled) -> Tensor:
        """Return the sums of g times each map over all pixels, (E, P, C), float64."""
        # Matrix products would be less exact: they add many numbers of both signs in sequence.
        products = [(g * pooled.maps[:, p : p + 1]).sum((-1, -2)) for p in range(pooled.maps.shape[1])]
        return torch.stack(products, 2).sum(0, dtype=torch.float64)

    def pool_backward(
        self,
        g: Tensor,
        pooled: Pooled,
        coefficients: Tensor,
        feedback: Tensor,
        constant: Tensor,
        states: Sequence[Tensor],
        names: Sequence[str],
        stride: int,
        into: Sequence[Tensor | None],
    ) -> list[Tensor]:
        (s,), (before,) = states, into
        result = torch.zeros_like(s)
        for place, map_ in enumerate(pooled.maps.unbind(1)):
            towards = torch.einsum("nechw,ec->nchw", g, coefficients[:, place])
            if place == len(names):
                result += towards
                continue
            towards = towards.addcmul_(map_, feedback[place, :, None, None]).add_(constant[place, :, None, None])
            towards = towards.contiguous()
            if names[place] == "max_pool_3x3":
                result += torch.ops.aten.max_pool2d_with_indices_backward(
                    towards, s, [3, 3], [stride] * 2, [1, 1], [1, 1], False, pooled.places
                )
            else:
                result += torch.ops.aten.avg_pool2d_backward(
                    towards, s, [3, 3], [stride] * 2, [1, 1], False, False, None
                )
        return [added(result, before)]
