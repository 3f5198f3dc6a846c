"""Views channels-last maps as images, rows and matrices, and multiplies and sums them.

The maps of one kind of operation are an image (N, E * C, H, W) to a depthwise convolution and E matrices (pixels, C) to
a product, without a copy. The same holds for the E nodes that a source feeds, (N, E, C, H, W), part of a cell's output.
"""

from __future__ import annotations

import torch
from torch import Tensor


def image(nodes: Tensor) -> Tensor:
    """View (N, E, C, H, W) as (N, E * C, H, W)."""
    return nodes.flatten(1, 2)


def rows(maps: Tensor, edges: int) -> Tensor:
    """View (N, E * C, H, W) as (pixels, E, C)."""
    return maps.permute(0, 2, 3, 1).view(-1, edges, maps.shape[1] // edges)


def matrices(maps: Tensor, edges: int) -> Tensor:
    """View (N, E * C, H, W) as (E, pixels, C)."""
    return rows(maps, edges).transpose(0, 1)


def dense(maps: Tensor) -> Tensor:
    """Return the maps dense and channels last; copies only if they are not."""
    return maps.contiguous(memory_format=torch.channels_last)


def widened(x: Tensor, edges: int) -> Tensor:
    """Repeat (N, C, H, W) for each edge: (N, E * C, H, W). With one edge the result may be x itself."""
    last = x.permute(0, 2, 3, 1).unsqueeze(3)
    return last.expand(-1, -1, -1, edges, -1).flatten(3).permute(0, 3, 1, 2)


def add_edges(maps: Tensor, edges: int, out: Tensor) -> None:
    """Add the sum over all edges of (N, E * C, H, W) to out (N, C, H, W)."""
    for of_edge in maps.chunk(edges, 1):
        out += of_edge


def multiplied(maps: Tensor, a: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply each edge's maps by its matrix and add the bias. a: (E, C, C). bias: (E, C)."""
    edges = len(a)
    result = torch.empty_like(maps, memory_format=torch.channels_last)
    out, x = matrices(result, edges), matrices(maps, edges)
    if bias is None:
        torch.bmm(x, a.transpose(1, 2), out=out)
    else:
        torch.baddbmm(bias.unsqueeze(1), x, a.transpose(1, 2), out=out)
    return result


def add_multiplied(maps: Tensor, a: Tensor, out: Tensor) -> None:
    """Add the product without bias to `out`, which has the maps' shape."""
    edges = len(a)
    matrices(out, edges).baddbmm_(matrices(maps, edges), a.transpose(1, 2))


def sums(maps: Tensor, edges: int) -> Tensor:
    """Sum the maps over all pixels: (E, C), float64."""
    return row_sums(rows(maps, edges))


def row_sums(table: Tensor) -> Tensor:
    """Sum (pixels, E, C) over all pixels: (E, C), float64."""
    return table.view(_parts(len(table), 64), -1, *table.shape[1:]).sum(1).sum(0, dtype=torch.float64)


def products(a: Tensor, b: Tensor, edges: int) -> Tensor:
    """Sum a b^T over all pixels, for each edge: (E, C of a, C of b), float64."""
    x, y = matrices(a, edges), matrices(b, edges)
    parts = _parts(x.shape[1], 1024)
    result = a.new_empty(edges, parts, x.shape[2], y.shape[2])
    for of_edge, left, right in zip(result, x, y, strict=True):
        torch.bmm(_cut(left, parts).transpose(1, 2), _cut(right, parts), out=of_edge)
    return result.sum(1, dtype=torch.float64)


def _parts(pixels: int, at_once: int) -> int:
    """Return the number of equal parts of about `at_once` pixels, each summed in float32 before the sum in float64."""
    return next(parts for parts in range(max(1, pixels // at_once), 0, -1) if pixels % parts == 0)


def _cut(matrix: Tensor, parts: int) -> Tensor:
    return matrix.view(parts, -1, matrix.shape[1])
