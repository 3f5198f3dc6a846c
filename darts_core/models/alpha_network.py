"""Defines what all supernets have in common: alphas besides the weights, and a method that makes a cell of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from darts_core.genotypes import AnyGenotype, ConvolutionalGenotype, RecurrentGenotype
from darts_core.methods.method import SearchMethod
from darts_core.methods.target import Target


class AlphaNetwork(nn.Module):
    """Base class of the supernets of convolutional cells; maps images (N, channels, H, W) to logits (N, classes).

    `alphas` maps names of tables to parameters that all cells of a kind share. They are not registered: `parameters()`,
    `state_dict()` and `weights()` hold the weights alone, so that no optimiser of the weights can receive the alphas.
    `to()` moves both.
    """

    primitives: tuple[str, ...]
    method: SearchMethod
    alphas: dict[str, nn.Parameter]
    target: Target | None = None
    """Terms of the alphas' loss by the cost of the cell."""
    penalised: bool = False
    """Whether a guard adds beta-DARTS' penalty to the alphas' loss."""
    conversions: int = 0
    """How often `to()` and its like have given the weights new memory, or may have."""

    def weights(self) -> list[nn.Parameter]:
        """Return all parameters except the alphas."""
        return list(self.parameters())

    def grouped_weights(self) -> Iterator[Tensor]:
        """Yield the weights that fused cells read as one tensor, group by group; none in a plain network."""
        yield from ()

    def share_statistics_storage(self) -> None:
        """Give running statistics that a fused cell updates as one tensor a common storage; values are unchanged."""

    def genotype(self) -> ConvolutionalGenotype:
        """Derive the genotype from the alphas. Raises GenotypeError if an alpha is not finite."""
        found: AnyGenotype = self.method.genotype(self.alphas, self.primitives)
        assert not isinstance(found, RecurrentGenotype)
        return found

    def strengths(self) -> dict[str, list[list[float]]]:
        """The expected weights of all operations, by kind of cell."""
        return self.method.strengths(self.alphas)

    def alpha_penalty(self) -> Tensor | None:
        """The terms that method, guard and target add to the alphas' loss, a scalar; None for none."""
        terms = [self.method.alpha_penalty(self.alphas), self.method.beta_penalty(self.alphas, self.guard_penalty)]
        if self.target is not None:
            terms.append(self.target.penalty(self.method.expected_weights(self.alphas)))
        present = [term for term in terms if term is not None]
        return sum(present[1:], start=present[0]) if present else None

    @property
    def guard_penalty(self) -> float:
        """lambda of a guard's penalty in this epoch, by the schedule that beta-DARTS' authors use."""
        return self.method.beta_strength(self.method.epochs / 2) if self.penalised else 0.0

    def load_alphas(self, alphas: Mapping[str, Tensor]) -> None:
        """Load saved alphas. Raises KeyError for a missing table, RuntimeError for one of another shape."""
        with torch.no_grad():
            for kind, alpha in self.alphas.items():
                alpha.copy_(alphas[kind])

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **options: Any) -> Self:
        # `to`, `double` and `cuda` call this method; it must convert the unregistered alphas too.
        super()._apply(fn, *args, **options)  # type: ignore[no-untyped-call]
        self.conversions += 1
        for alpha in self.alphas.values():
            alpha.data = fn(alpha.data)
        return self
