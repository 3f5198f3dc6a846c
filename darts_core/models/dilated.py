"""Computes depthwise convolutions of dilation 2 on CPUs as dense convolutions of the input's phases.

A filter of dilation 2 combines only pixels whose rows and columns have the same parity. An image is therefore four
independent half-size images (phases), on which the filter is dense; stride 2 needs only the even rows and columns. The
products are the same, and oneDNN's backward pass is 3 to 10 times faster on the small maps of a cell.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DilatedDepthwise(nn.Conv2d):
    """Depthwise convolution of dilation 2 without bias. The kernel size is odd; padding keeps the map's size."""

    phased = True
    """Whether to convolve phases on CPUs. False selects torch's kernel, for comparisons."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__(
            channels, channels, kernel, stride=stride, padding=kernel - 1, dilation=2, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride))."""
        # Exported networks run on other runtimes, which have their own kernels.
        if not self.phased or x.device.type != "cpu" or torch.compiler.is_exporting():
            return super().forward(x)
        if self.stride[0] == 2:
            return self._dense(x[:, :, ::2, ::2])
        return merge_phases(self._dense(split_into_phases(x)), *x.shape[-2:])

    def _dense(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, padding=self.kernel_size[0] // 2, groups=self.groups)


def split_into_phases(x: Tensor) -> Tensor:
    """Split (N, C, H, W) into even and odd rows and columns: (4N, C, ceil(H / 2), ceil(W / 2)), channels last."""
    batch, channels, height, width = x.shape
    rows, columns = -(-height // 2), -(-width // 2)
    # Zeros extend an odd size, as the convolution's padding would.
    even = F.pad(x, (0, 2 * columns - width, 0, 2 * rows - height))
    # Channels last is the fastest layout to copy and to convolve.
    parities = even.permute(0, 2, 3, 1).reshape(batch, rows, 2, columns, 2, channels).permute(0, 2, 4, 1, 3, 5)
    return parities.reshape(4 * batch, rows, columns, channels).permute(0, 3, 1, 2)


def merge_phases(phases: Tensor, height: int, width: int) -> Tensor:
    """Invert `split_into_phases`: (4N, C, rows, columns) to (N, C, height, width)."""
    channels, rows, columns = phases.shape[1:]
    batch = len(phases) // 4
    woven = phases.permute(0, 2, 3, 1).reshape(batch, 2, 2, rows, columns, channels).permute(0, 3, 1, 4, 2, 5)
    return woven.reshape(batch, 2 * rows, 2 * columns, channels).permute(0, 3, 1, 2)[:, :, :height, :width]


def add_merged_phases(phases: Tensor, out: Tensor) -> None:
    """Add the merged phases to out (N, C, H, W)."""
    by_phase = phases.view(-1, 4, *phases.shape[1:])
    for phase in range(4):
        part = out[:, :, phase // 2 :: 2, phase % 2 :: 2]
        part += by_phase[:, phase, :, : part.shape[2], : part.shape[3]]


def clear_padding(phases: Tensor, height: int, width: int) -> None:
    """Zero the row and column by which the phases exceed an image of odd height or width."""
    by_phase = phases.view(-1, 4, *phases.shape[1:])
    if height % 2:
        by_phase[:, 2:, :, -1] = 0
    if width % 2:
        by_phase[:, 1::2, :, :, -1] = 0
