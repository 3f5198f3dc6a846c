"""Checks the kernels against torch operations on this machine's GPU, in the cells of the run that wants them.

A kernel that does not compile or computes wrong results then costs speed instead of a search.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from darts_core.errors import KernelError
from darts_core.kernels.gpu.backend import TritonBackend
from darts_core.kernels.gpu.statistics import track
from darts_core.models.fused.backend import CellBackend
from darts_core.models.fused.cell import compute
from darts_core.models.fused.torch_backend import TorchBackend
from darts_core.models.supernet import SearchCell
from darts_core.training.matmul_precision import tf32

_EXACT: Final = 5e-3
_IMAGES: Final = 2


class Precision(NamedTuple):
    """dtype: of the maps, float32 or bfloat16. tf32: whether products of matrices may round to TF32."""

    dtype: torch.dtype
    tf32: bool

    @property
    def tolerance(self) -> float:
        """Of each tensor in the Euclidean norm, relative to its own.

        Far above rounding, which also decides a few ReLUs, and far below the error of a tile, an edge or a row of
        pixels.
        """
        if self.dtype == torch.bfloat16:
            return 0.25
        return 3e-2 if self.tf32 else _EXACT

    def __str__(self) -> str:
        return str(self.dtype).removeprefix("torch.") + (" in TF32" if self.tf32 else "")


FLOAT32: Final = Precision(torch.float32, tf32=False)


@dataclass(frozen=True)
class CellShape:
    """All of a cell that decides which kernels compute it and in which tiles.

    channels, height, width: of its preprocessed inputs. partial: K, if the operations see one of K channels. lists: the
    operations of each edge, if edges lack some.
    """

    primitives: tuple[str, ...]
    nodes: int
    channels: int
    height: int
    width: int
    reduction: bool
    partial: int = 1
    lists: tuple[tuple[str, ...], ...] | None = None

    def __str__(self) -> str:
        kind = "reduction" if self.reduction else "normal"
        return f"{kind} cell of {self.channels} channels on {self.height}x{self.width} maps"


def check_kernels(
    device: torch.device,
    cells: Iterable[CellShape],
    precisions: Iterable[Precision] = (FLOAT32,),
    backend: CellBackend | None = None,
) -> None:
    """Raise KernelError for the first tensor that differs too much; errors of Triton propagate.

    backend: by default the Triton backend.
    """
    backend = TritonBackend() if backend is None else backend
    precisions = list(precisions)
    # Preserves the caller's random state and modes.
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        torch.manual_seed(0)
        for shape in cells:
            _check_cell(device, shape, precisions, backend)
        _check_statistics(device)


def _check_cell(device: torch.device, shape: CellShape, precisions: list[Precision], backend: CellBackend) -> None:
    cell = SearchCell(
        shape.primitives,
        shape.nodes,
        *[shape.channels] * 3,
        reduction=shape.reduction,
        after_reduction=False,
        fused=True,
        partial=shape.partial,
        lists=shape.lists,
    ).to(device)
    w = torch.rand(len(cell._ops), len(shape.primitives), device=device)
    # In bf16 both see the same maps.
    states = torch.randn(2, _IMAGES, shape.channels, shape.height, shape.width, device=device).bfloat16().float()
    assert cell.fused is not None
    if not cell.fused.suits(cell, states[0]):
        return  # computed operation by operation
    for training in (True, False):
        cell.train(training)
        with tf32(wanted=False):
            truth = _outputs_and_gradients(cell, TorchBackend(), states, w)
        for precision in precisions:
            with tf32(precision.tf32):
                ours = _outputs_and_gradients(cell, backend, states.to(precision.dtype), w)
            mode = "training" if training else "evaluation"
            compare(ours, truth, f"{shape}, {precision}, {mode}", precision.tolerance)


def _outputs_and_gradients(cell: SearchCell, backend: CellBackend, states: Tensor, w: Tensor) -> list[Tensor]:
    """Return the cell's output and the gradients of states, alphas and weights."""
    assert cell.fused is not None
    older, newer = (state.detach().requires_grad_() for state in states)
    w = w.detach().requires_grad_()
    out = compute(cell.fused.plan(cell, older, backend), older, newer, w, track=False)
    weights = [
        parameter for operations in cell._ops for parameter in operations.parameters() if parameter.requires_grad
    ]
    towards = torch.linspace(-1, 1, out.numel(), device=out.device, dtype=out.dtype).view_as(out)
    return [out, *torch.autograd.grad(out, [older, newer, w, *weights], towards)]


def _check_statistics(device: torch.device) -> None:
    running, found = torch.rand(2, 2, 6, 16, device=device)
    counts = torch.ones(6, 1, dtype=torch.int64, device=device)
    truth = [running[0].lerp(found[0], 0.1), running[1].lerp(1.5 * found[1], 0.1), counts + 1]
    track((running[0], running[1], counts), found[0], found[1], 0.1, 1.5)
    compare([running[0], running[1], counts], truth, "running statistics", _EXACT)


def compare(ours: list[Tensor], truth: list[Tensor], what: str, tolerance: float) -> None:
    """Raise KernelError for the first tensor that differs by more, in the Euclidean norm relative to its own."""
    errors = torch.stack([(one.double() - other).norm() for one, other in zip(ours, truth, strict=True)])
    scales = torch.stack([other.double().norm() for other in truth])
    # Read at once: each reading waits for the GPU.
    for place, (error, scale) in enumerate(torch.stack([errors, scales], 1).tolist()):
        if not error <= tolerance * scale:
            raise KernelError(f"{what}, number {place}: differs by {error:.2e} of {scale:.2e}")
