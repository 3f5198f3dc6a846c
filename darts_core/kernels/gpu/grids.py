"""Takes the grids that a factorized reduce reads out of a state, and puts their gradients back, in Triton kernels."""

# ruff: noqa: N803, N806 - capitals are compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from typing import Final

import triton
import triton.language as tl
from torch import Tensor

from darts_core.kernels.gpu.products import apply_matrices
from darts_core.kernels.gpu.sizes import accumulator, tile
from darts_core.kernels.gpu.sums import sums_of_products
from darts_core.models.fused.algebra import Folded, Inputs, Moments

_SIZES: Final = ("planes", "channels", "height", "width", "rows", "columns", "sn", "sc", "on", "oc")


class TritonGrids:
    """Backend methods. Each of the two grids is a kind."""

    _in_parts: bool

    def grids(self, s: Tensor, *, moments: bool) -> tuple[Tensor, Moments | None]:
        """See `CellBackend`."""
        n, channels, height, width = s.shape
        rows, columns = -(-height // 2), -(-width // 2)
        x = s.new_empty(n, 2, channels, rows, columns)
        planes, pixels = n * 2 * channels, rows * columns
        PLANES, PIXELS = tile(pixels)
        _take[(triton.cdiv(planes, PLANES), triton.cdiv(pixels, PIXELS))](
            s, x, planes, channels, height, width, rows, columns, *s.stride()[:2],
            PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(s),
        )  # fmt: skip
        of_edge = x.unsqueeze(1)
        return x, sums_of_products(of_edge, of_edge, in_parts=self._in_parts) if moments else None

    def grids_add(self, x: Tensor, of: Folded, out: Tensor) -> None:
        """See `CellBackend`."""
        halves = _halved(out)
        apply_matrices(of.matrix, _for_edges(x, out), halves, constant=of.offset, add=True)

    def grids_products(self, g: Tensor, x: Tensor) -> Tensor:
        """See `CellBackend`."""
        return sums_of_products(_halved(g), _for_edges(x, g), in_parts=self._in_parts).products

    def grids_backward(self, g: Tensor, x: Tensor, inputs: Inputs, s: Tensor, into: Tensor | None) -> Tensor:
        """See `CellBackend`."""
        towards_x = x.new_empty(x.shape)
        direct, feedback, constant = (None if of is None else of.transpose(0, 1) for of in inputs)
        assert direct is not None
        # The grids take the place of the edges, over which the kernel then sums.
        apply_matrices(
            direct,
            _halved(g).transpose(1, 2),
            towards_x.unsqueeze(2),
            feedback=None if feedback is None else (feedback, _for_edges(x, g).transpose(1, 2)),
            constant=constant,
        )
        towards_s = s.new_empty(s.shape) if into is None else into
        n, channels, height, width = s.shape
        planes, pixels = n * channels, height * width
        PLANES, PIXELS = tile(pixels)
        _put_back[(triton.cdiv(planes, PLANES), triton.cdiv(pixels, PIXELS))](
            towards_x, s, towards_s, planes, channels, height, width, *x.shape[3:], *s.stride()[:2],
            *towards_s.stride()[:2], ADD=into is not None, PLANES=PLANES, PIXELS=PIXELS, SUM=accumulator(s),
        )  # fmt: skip
        return towards_s


def _halved(maps: Tensor) -> Tensor:
    """View the output's maps (N, E, C, H, W) as those of the grids' matrices, (N, E, 2, C / 2, H, W)."""
    return maps.view(*maps.shape[:2], 2, -1, *maps.shape[3:])


def _for_edges(x: Tensor, maps: Tensor) -> Tensor:
    return x.unsqueeze(1).expand(-1, maps.shape[1], -1, -1, -1, -1)


@triton.jit(do_not_specialize=_SIZES)
def _take(
    s, x, planes, channels, height, width, rows, columns, sn, sc,
    PLANES: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    plane = tl.program_id(0) * PLANES + tl.arange(0, PLANES)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    there, inside = plane < planes, pixel < rows * columns
    channel, grid, image = plane % channels, plane // channels % 2, (plane // (2 * channels)).to(tl.int64)
    row = (pixel // columns * 2)[None, :] + grid[:, None]
    column = (pixel % columns * 2)[None, :] + grid[:, None]
    both = there[:, None] & inside[None, :]
    place = (s + image * sn + channel * sc)[:, None] + row * width + column
    value = tl.maximum(tl.load(place, mask=both & (row < height) & (column < width), other=0).to(SUM), 0)
    target = (x + plane.to(tl.int64) * (rows * columns))[:, None] + pixel[None, :]
    tl.store(target, value.to(x.dtype.element_ty), mask=both)


@triton.jit(do_not_specialize=_SIZES)
def _put_back(
    towards_x, s, out, planes, channels, height, width, rows, columns, sn, sc, on, oc,
    ADD: tl.constexpr, PLANES: tl.constexpr, PIXELS: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    plane = tl.program_id(0) * PLANES + tl.arange(0, PLANES)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    both = (plane < planes)[:, None] & (pixel < height * width)[None, :]
    channel, image = plane % channels, (plane // channels).to(tl.int64)
    row, column = pixel // width, pixel % width
    # Pixels with an even and an odd coordinate are in no grid.
    grid, read = row % 2, row % 2 == column % 2
    source = (towards_x + (image * 2 * channels + channel) * rows * columns)[:, None]
    place = source + (grid * channels * rows * columns + row // 2 * columns + column // 2)[None, :]
    total = tl.load(place, mask=both & read[None, :], other=0).to(SUM)
    value = tl.load((s + image * sn + channel * sc)[:, None] + pixel[None, :], mask=both, other=0).to(SUM)
    total = tl.where(value > 0, total, 0)
    target = (out + image * on + channel * oc)[:, None] + pixel[None, :]
    if ADD:
        total += tl.load(target, mask=both, other=0).to(SUM)
    tl.store(target, total.to(out.dtype.element_ty), mask=both)
