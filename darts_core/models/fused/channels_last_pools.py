"""Implements the passes over pooled maps by torch operations on channels-last maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.models.fused.backend import Pooled, added
from darts_core.models.fused.channels_last import dense, image, row_sums, rows
from darts_core.models.fused.pool_algebra import FoldedPools, PoolStatistics


class ChannelsLastPools:
    """See `CellBackend`. The maps are a list, (N, C, H, W) each."""

    def pool(
        self, states: Sequence[Tensor], names: Sequence[str], stride: int, *, identity: bool
    ) -> tuple[Pooled, PoolStatistics]:
        (s,) = states
        x = dense(s)
        maps, places = [], s.new_empty(0, dtype=torch.int64)
        for name in names:
            if name == "max_pool_3x3":
                map_, places = F.max_pool2d(x, 3, stride, 1, return_indices=True)
            else:
                map_ = F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
            maps.append(dense(map_))
        means, variances = s.new_empty(2, len(names), s.shape[1], dtype=torch.float64).unbind()
        for place, map_ in enumerate(maps):
            table = rows(map_, 1).flatten(1)
            centre = table.mean(0)
            rest = table - centre
            # Corrects for the rounding of the centre.
            left = rest.mean(0).double()
            means[place] = centre.double() + left
            variances[place] = rest.square_().mean(0).double() - left.square()
        return Pooled([*maps, s] if identity else maps, places), PoolStatistics(means, variances.clamp_min_(0))

    def mix(self, pooled: Pooled, of: FoldedPools, out: Tensor) -> None:
        """Add the scaled maps to `out`."""
        table = rows(image(out), out.shape[1])
        for place, map_ in enumerate(pooled.maps):
            table.addcmul_(rows(map_, 1), of.coefficients[:, place])

    def mix_products(self, g: Tensor, pooled: Pooled) -> Tensor:
        """Return the sums of g times each map over all pixels, (E, P, C), float64."""
        table = rows(image(g), g.shape[1])
        return torch.stack([row_sums(table * rows(map_, 1)) for map_ in pooled.maps], 1)

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
        like = dense(s)
        result = torch.zeros_like(like)
        table = rows(image(g), 1).squeeze(1)
        for place, map_ in enumerate(pooled.maps):
            scaled = torch.diag_embed(coefficients[:, place]).flatten(0, 1)  # (E * C, C)
            if place == len(names):
                rows(result, 1).squeeze(1).addmm_(table, scaled)
                continue
            towards = torch.empty_like(map_, memory_format=torch.channels_last)
            flat = rows(towards, 1).squeeze(1)
            torch.addmm(constant[place], table, scaled, out=flat)
            flat.addcmul_(rows(map_, 1).squeeze(1), feedback[place])
            if names[place] == "max_pool_3x3":
                result += torch.ops.aten.max_pool2d_with_indices_backward(
                    towards, like, [3, 3], [stride] * 2, [1, 1], [1, 1], False, pooled.places
                )
            else:
                result += torch.ops.aten.avg_pool2d_backward(
                    towards, like, [3, 3], [stride] * 2, [1, 1], False, False, None
                )
        return [added(result, before)]
