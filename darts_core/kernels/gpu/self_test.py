"""Checks the kernels against torch operations on this machine's GPU, before a run uses them.

A kernel that does not compile or computes wrong results then costs speed instead of a search.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from darts_core.errors import KernelError
from darts_core.kernels.gpu.backend import TritonBackend
from darts_core.kernels.gpu.statistics import track
from darts_core.models.fused.backend import CellBackend
from darts_core.models.fused.cell import compute
from darts_core.models.fused.torch_backend import TorchBackend
from darts_core.models.supernet import SearchCell
from darts_core.spaces import SPACES

# Relative to each tensor's largest magnitude: far above float32 rounding, far below an actual error.
_TOLERANCE: Final = 5e-3
_SPACE: Final = SPACES["darts"].primitives


def check_kernels(
    device: torch.device, backend: CellBackend | None = None, shape: tuple[int, int, int, int] = (3, 16, 9, 7)
) -> None:
    """Raise KernelError for the first tensor that differs too much; errors of Triton propagate.

    backend: by default the Triton backend. shape: of a cell's inputs, (N, C, H, W).
    """
    backend = TritonBackend() if backend is None else backend
    # Preserves the caller's random state and modes.
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        torch.manual_seed(0)
        for reduction in (False, True):
            cell = SearchCell(_SPACE, 1, *[shape[1]] * 3, reduction=reduction, after_reduction=False, fused=True).to(
                device
            )
            w = torch.rand(len(cell._ops), len(_SPACE), device=device)
            states = torch.randn(2, *shape, device=device)
            truth = _outputs_and_gradients(cell, TorchBackend(), states, w)
            _compare(_outputs_and_gradients(cell, backend, states, w), truth, f"{reduction=}")
            for result in _outputs_and_gradients(cell, backend, states.bfloat16(), w):
                if not result.isfinite().all():
                    raise KernelError(f"a cell in bf16 ({reduction=}) gives numbers that are not finite")
        _check_statistics(device)


def _outputs_and_gradients(cell: SearchCell, backend: CellBackend, states: Tensor, w: Tensor) -> list[Tensor]:
    """Return the cell's output and the gradients of states, alphas and weights."""
    assert cell.fused is not None
    older, newer = (state.detach().requires_grad_() for state in states)
    w = w.detach().requires_grad_()
    out = compute(cell.fused.plan(cell, older, backend), older, newer, w, track=False)
    weights = [parameter for operations in cell._ops for parameter in operations.parameters()]
    towards = torch.linspace(-1, 1, out.numel(), device=out.device, dtype=out.dtype).view_as(out)
    return [out, *torch.autograd.grad(out, [older, newer, w, *weights], towards)]


def _check_statistics(device: torch.device) -> None:
    running, found = torch.rand(2, 2, 6, 16, device=device)
    counts = torch.ones(6, 1, dtype=torch.int64, device=device)
    truth = [running[0].lerp(found[0], 0.1), running[1].lerp(1.5 * found[1], 0.1), counts + 1]
    track((running[0], running[1], counts), found[0], found[1], 0.1, 1.5)
    _compare([running[0], running[1], counts], truth, "running statistics")


def _compare(ours: list[Tensor], truth: list[Tensor], what: str) -> None:
    for place, (one, other) in enumerate(zip(ours, truth, strict=True)):
        error, scale = (one - other).abs().max().item(), other.abs().max().item()
        if not error <= _TOLERANCE * scale:
            raise KernelError(f"{what}, number {place}: differs by {error:.2e} of {scale:.2e}")
