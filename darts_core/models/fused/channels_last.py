"""Maps with the channels last in memory: a table with a row for each pixel, the channels of all edges side by side.

The maps of one kind of operation are an image (N, E * C, H, W) for a depthwise convolution, and E matrices
(pixels, C) for a product: the same memory, seen either way without a copy. So are the E nodes that a source reaches,
(N, E, C, H, W) and part of a cell's output.
"""

from __future__ import annotations

import torch
from torch import Tensor


def image(nodes: Tensor) -> Tensor:
    """(N, E, C, H, W) to (N, E * C, H, W), a view."""
    return nodes.flatten(1, 2)


def rows(maps: Tensor, edges: int) -> Tensor:
    """(N, E * C, H, W) to (pixels, E, C), a view."""
    return maps.permute(0, 2, 3, 1).view(-1, edges, maps.shape[1] // edges)


def matrices(maps: Tensor, edges: int) -> Tensor:
    """(N, E * C, H, W) to (E, pixels, C), a view."""
    return rows(maps, edges).transpose(0, 1)


def dense(maps: Tensor) -> Tensor:
    """With the channels last; a copy only if they are not, or if there are others between them."""
    return maps.contiguous(memory_format=torch.channels_last)


def widened(x: Tensor, edges: int) -> Tensor:
    """(N, C, H, W) to (N, E * C, H, W), the same for each edge; with one edge it may be x itself."""
    last = x.permute(0, 2, 3, 1).unsqueeze(3)
    return last.expand(-1, -1, -1, edges, -1).flatten(3).permute(0, 3, 1, 2)


def add_edges(maps: Tensor, edges: int, out: Tensor) -> None:
    """Add the sum over all edges of (N, E * C, H, W) to out (N, C, H, W)."""
    for of_edge in maps.chunk(edges, 1):
        out += of_edge


def multiplied(maps: Tensor, a: Tensor, bias: Tensor | None = None) -> Tensor:
    """Of each edge, a times its maps, plus the bias. a: (E, C, C). bias: (E, C)."""
    edges = len(a)
    result = torch.empty_like(maps, memory_format=torch.channels_last)
    out, x = matrices(result, edges), matrices(maps, edges)
    if bias is None:
        torch.bmm(x, a.transpose(1, 2), out=out)
    else:
        torch.baddbmm(bias.unsqueeze(1), x, a.transpose(1, 2), out=out)
    return result


def add_multiplied(maps: Tensor, a: Tensor, out: Tensor) -> None:
    """Add the same to `out`, of the form of the maps."""
    edges = len(a)
    matrices(out, edges).baddbmm_(matrices(maps, edges), a.transpose(1, 2))


def sums(maps: Tensor, edges: int) -> Tensor:
    """Over all pixels, (E, C), float64."""
    return row_sums(rows(maps, edges))


def row_sums(table: Tensor) -> Tensor:
    """Over all pixels of (pixels, E, C), (E, C), float64."""
    return table.view(_parts(len(table), 64), -1, *table.shape[1:]).sum(1).sum(0, dtype=torch.float64)


def products(a: Tensor, b: Tensor, edges: int) -> Tensor:
    """Of each edge, the sum over all pixels of a b^T, (E, C of a, C of b), float64."""
    x, y = matrices(a, edges), matrices(b, edges)
    parts = _parts(x.shape[1], 1024)
    result = a.new_empty(edges, parts, x.shape[2], y.shape[2])
    for of_edge, left, right in zip(result, x, y, strict=True):
        torch.bmm(_cut(left, parts).transpose(1, 2), _cut(right, parts), out=of_edge)
    return result.sum(1, dtype=torch.float64)


def _parts(pixels: int, at_once: int) -> int:
    """Into how many equal parts, of about so many pixels: what is summed in float32 before it is summed in float64."""
    return next(parts for parts in range(max(1, pixels // at_once), 0, -1) if pixels % parts == 0)


def _cut(matrix: Tensor, parts: int) -> Tensor:
    return matrix.view(parts, -1, matrix.shape[1])
