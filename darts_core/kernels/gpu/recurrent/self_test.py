"""Checks the kernels against the plain cell on this machine's GPU, in the cell of the run that wants them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from darts_core.kernels.gpu.recurrent import MOST_COLUMNS
from darts_core.kernels.gpu.self_test import compare
from darts_core.models.recurrent.columns import flipped
from darts_core.models.recurrent.gpu_sequence import Plan, run_on_gpu
from darts_core.models.recurrent.plain import PlainSearchCell
from darts_core.primitives import recurrent_edges_of
from darts_core.training.matmul_precision import tf32

# Of each tensor in the Euclidean norm, relative to its own: far above rounding, which also decides a few ReLUs, and far
# below the error of a row or an edge.
_TOLERANCE: Final = 5e-3
_STEPS: Final = 3

Run = Callable[[Plan, Tensor, Tensor, Tensor, Tensor, tuple[Tensor, ...]], Tensor]


class CellShape(NamedTuple):
    """All that decides which kernels compute a search's windows. batches: columns, in training and in measuring."""

    primitives: tuple[str, ...]
    size: int
    nodes: int
    batches: tuple[int, ...]


def check_recurrent_kernels(device: torch.device, shape: CellShape, run: Run = run_on_gpu) -> None:
    """Raise KernelError for the first tensor that differs too much; errors of Triton propagate."""
    # Preserves the caller's random state and modes.
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad(), tf32(wanted=False):
        torch.manual_seed(0)
        cell = PlainSearchCell(shape.primitives, shape.size, shape.nodes).to(device)
        for weight in (cell._W0, *cell._Ws):
            nn.init.normal_(weight, std=shape.size**-0.5)
        for batch in shape.batches:
            for training in (True, False):
                if batch <= MOST_COLUMNS and not (training and batch == 1):
                    _check(cell.train(training), batch, run)


def _check(cell: PlainSearchCell, batch: int, run: Run) -> None:
    device, edges = cell._W0.device, recurrent_edges_of(cell.nodes)
    x = torch.randn(_STEPS, batch, cell.size, device=device).requires_grad_()
    hidden, mask = torch.randn(2, batch, cell.size, device=device)
    hidden.requires_grad_()
    shares = torch.rand(edges, len(cell.primitives), device=device).requires_grad_()
    before = {name: buffer.clone() for name, buffer in cell.named_buffers()}

    def seen(outputs_of: Callable[[], Tensor]) -> list[Tensor]:
        cell.load_state_dict(before, strict=False)
        outputs = outputs_of()
        towards = torch.linspace(-1, 1, outputs.numel(), device=device).view_as(outputs)
        gradients = torch.autograd.grad(outputs, [x, hidden, shares, *cell.parameters()], towards)
        return [outputs.detach(), *gradients, *(buffer.clone() for buffer in cell.buffers())]

    for h_mask in (mask, None):
        plan = Plan(cell.primitives, cell.bn, None if h_mask is None else flipped(h_mask), True)
        ours = seen(lambda: run(plan, x, hidden, shares, cell._W0, tuple(cell._Ws)))  # noqa: B023
        truth = seen(lambda: cell(x, hidden, h_mask, shares))  # noqa: B023
        mode = "training" if cell.training else "evaluation"
        compare(ours, truth, f"recurrent cell of {cell.size} units, {batch} columns, {mode}", _TOLERANCE)
