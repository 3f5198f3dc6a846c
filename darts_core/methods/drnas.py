"""DrNAS (arXiv:2006.10355): operation weights drawn from a Dirichlet distribution."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from darts_core.methods.method import SearchMethod, Tables


class DrNas(SearchMethod):
    """Weights drawn from Dirichlet(elu(alpha) + 1), a new sample for each edge and forward pass, also in measuring."""

    draws: ClassVar[bool] = True

    def operation_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """A sample for each row, with the pathwise gradient in the concentrations."""
        weights = {kind: self._drawn(kind, alpha) for kind, alpha in alphas.items()}
        self._forwards += 1
        return weights

    def expected_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """The distributions' means."""
        rows = {kind: _concentration(alpha) for kind, alpha in self.present(alphas).items()}
        return {kind: row / row.sum(-1, keepdim=True) for kind, row in rows.items()}

    def strengths(self, alphas: Tables) -> dict[str, list[list[float]]]:
        """The distributions' means, in float64."""
        exact = {kind: alpha.detach().double().cpu() for kind, alpha in alphas.items()}
        return {kind: rows.tolist() for kind, rows in self.expected_weights(exact).items()}

    def _drawn(self, kind: str, alpha: Tensor) -> Tensor:
        sample: Tensor = _Dirichlet.apply(_concentration(alpha), self.generator(kind), self.absent(kind, alpha))
        return sample


def _concentration(alpha: Tensor) -> Tensor:
    # elu(alpha) + 1 without its cancellation, which rounds small concentrations to 0.
    return torch.where(alpha > 0, alpha + 1, alpha.clamp(max=0).exp())


class _Dirichlet(torch.autograd.Function):
    """torch.distributions' sampler, drawn from a generator: its own takes none. Float64 on the CPU.

    Masked components are drawn and set to 0. The others, divided by their sum, have a Dirichlet distribution too.
    """

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, generator: torch.Generator, absent: Tensor | None) -> Tensor:
        exact = concentration.detach().double().cpu()
        gammas = torch._standard_gamma(exact, generator=generator)
        tiny = torch.finfo(torch.float64).tiny
        sample = gammas.clamp_min(tiny)
        ctx.absent = None if absent is None else absent.cpu()
        if ctx.absent is not None:
            sample = sample.masked_fill(ctx.absent, 0)
        sample = sample / sample.sum(-1, keepdim=True)
        ctx.save_for_backward(sample, exact)
        return sample.to(concentration)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        sample, exact = ctx.saved_tensors
        if ctx.absent is None:
            total = exact.sum(-1, keepdim=True).expand_as(exact)
            pathwise = torch._dirichlet_grad(sample, exact, total)
        else:
            total = exact.masked_fill(ctx.absent, 0).sum(-1, keepdim=True).expand_as(exact)
            # A masked component has no gradient, nor has the only one of a row; any numbers do for them.
            fixed = ctx.absent | ((~ctx.absent).sum(-1, keepdim=True) == 1)
            inside = sample.masked_fill(fixed, 0.5), exact.masked_fill(fixed, 1), total.masked_fill(fixed, 2)
            pathwise = torch._dirichlet_grad(*inside).masked_fill(fixed, 0)
        towards = gradient.double().cpu()
        return (pathwise * (towards - (sample * towards).sum(-1, keepdim=True))).to(gradient), None, None
