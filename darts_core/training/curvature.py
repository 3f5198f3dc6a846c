"""Measures the dominant eigenvalue of the Hessian of the validation loss in the alphas.

A search is about to collapse when it grows: RobustDARTS (arXiv:1909.09656), section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.supernet import SearchCell
from darts_core.training.matmul_precision import full_precision
from darts_core.training.stages import MEASURING, stage

# Of those that move the alphas, the first ones: one batch, the same after each epoch.
HESSIAN_IMAGES: Final = 64

Product = Callable[[Tensor], Tensor]
"""A symmetric matrix (n, n), as what it makes of a vector (n,)."""


@stage(MEASURING)
def dominant_eigenvalue(
    network: AlphaNetwork,
    images: Tensor,
    labels: Tensor,
    source: torch.Generator,
    *,
    tolerance: float = 1e-4,
    steps: int = 100,
) -> float:
    """The largest eigenvalue of the Hessian of the mean cross-entropy in all alphas, at the network as it is.

    images: (N, C, H, W), as the network takes them. BatchNorm uses the batch's own statistics, as in the architect's
    step, and remembers nothing of it. source: on the CPU, of the start vector. tolerance: relative error at which to
    stop. Computed edge by edge: the fused network has no second derivatives. Holds the graph of one batch and of its
    gradient in memory.
    """
    with _plain(network), full_precision(images.device), torch.enable_grad():
        product = _hessian(network, images, labels)
        size = sum(alpha.numel() for alpha in network.alphas.values())
        start = torch.randn(size, generator=source, dtype=torch.float64)
        return largest_eigenvalue(product, start, tolerance=tolerance, steps=steps)


def largest_eigenvalue(product: Product, start: Tensor, *, tolerance: float, steps: int) -> float:
    """By Lanczos' method from `start` (n,), float64; each new direction is made orthogonal to all before.

    Ends when the residual bounds the error by `tolerance` times the value, after n steps at the latest, when it is
    exact but for rounding.
    """
    basis = [start / torch.linalg.vector_norm(start)]
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    value = start.new_zeros(())
    for step in range(min(steps, len(start))):
        image = product(basis[-1])
        diagonal.append(basis[-1] @ image)
        known = torch.stack(basis)
        for _ in range(2):  # once leaves rounding errors that grow from step to step
            image = image - known.T @ (known @ image)
        norm = torch.linalg.vector_norm(image)
        values, vectors = torch.linalg.eigh(_tridiagonal(diagonal, beside))
        value = values[-1]
        residual = norm * vectors[-1, -1].abs()
        # An invariant subspace leaves nothing to go on with.
        if step > 0 and (residual <= tolerance * value.abs() or norm <= 1e-12 * value.abs()):
            break
        beside.append(norm)
        basis.append(image / norm.clamp_min(torch.finfo(norm.dtype).tiny))
    return float(value)


def _tridiagonal(diagonal: Sequence[Tensor], beside: Sequence[Tensor]) -> Tensor:
    matrix = torch.diag(torch.stack(list(diagonal)))
    if beside:
        off = torch.stack(list(beside))
        matrix = matrix + torch.diag(off, 1) + torch.diag(off, -1)
    return matrix


def _hessian(network: AlphaNetwork, images: Tensor, labels: Tensor) -> Product:
    alphas = list(network.alphas.values())
    # Weights that want no gradients, and buffers that may be written to: the network keeps its own.
    state = {name: weight.detach() for name, weight in network.named_parameters()}
    state |= {name: buffer.clone() for name, buffer in network.named_buffers()}
    loss = F.cross_entropy(torch.func.functional_call(network, state, (images,)), labels)
    gradients = torch.autograd.grad(loss, alphas, create_graph=True, allow_unused=True, materialize_grads=True)
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])

    def product(vector: Tensor) -> Tensor:
        if not flat.requires_grad:  # without a second derivative the Hessian is zero
            return torch.zeros_like(vector)
        along = vector.to(flat)
        rows = torch.autograd.grad(flat, alphas, along, retain_graph=True, allow_unused=True, materialize_grads=True)
        return torch.cat([row.reshape(-1) for row in rows]).to(vector)

    return product


@contextmanager
def _plain(network: AlphaNetwork) -> Iterator[None]:
    """While it is open, the network computes edge by edge, in training mode; then as it did before."""
    cells = [cell for cell in network.modules() if isinstance(cell, SearchCell)]
    before, training = [cell.fused for cell in cells], network.training
    network.train()
    for cell in cells:
        cell.fused = None
    try:
        yield
    finally:
        network.train(training)
        for cell, fused in zip(cells, before, strict=True):
            cell.fused = fused
