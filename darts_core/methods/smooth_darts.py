"""SmoothDARTS (arXiv:2002.05283): trains the weights at shifted operation weights, random or adversarial ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.configs import RnnSearchConfig, SearchConfig
from darts_core.data.batches import Batch
from darts_core.methods.method import PassName, SearchMethod, Tables
from darts_core.models.held import held

# The authors' radius in the first epoch.
_START: Final = 0.03


class SmoothDarts(SearchMethod):
    """DARTS whose weight step computes at N(softmax(alpha) + u), u uniform in [-radius, radius].

    N clamps a row to [0, 1] and divides it by its sum; a row of zeros becomes one-hot at the largest entry before
    clamping. The radius grows linearly from 0.03 towards `perturbation_max` with the epochs that have passed.
    """

    draws: ClassVar[bool] = True

    @property
    def radius(self) -> float:
        """Largest shift of an operation weight."""
        most = self.config.perturbation_max or 0.0
        return min(most, _START + (most - _START) * (self.epoch - 1) / self.epochs)

    @property
    def schedule(self) -> tuple[float, ...]:
        """With the radius."""
        return (*super().schedule, self.radius)

    def draws_in(self, name: PassName) -> bool:
        return name == "weights" and self.radius > 0

    def draw(self, shape: torch.Size, source: torch.Generator) -> Tensor:
        return torch.rand(shape, generator=source, dtype=torch.float64).mul_(2).sub_(1)

    def operation_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """Those of DARTS, shifted in the weight step."""
        weights = super().operation_weights(alphas)
        if not self.draws_in(self._within):
            return weights
        shifted = {kind: self._shifted(kind, rows) for kind, rows in weights.items()}
        self._forwards += 1
        return shifted

    def _shifted(self, kind: str, rows: Tensor) -> Tensor:
        return normalised(rows.detach() + self.radius * self.numbers(kind, rows), self.absent(kind, rows))


class AdversarialSmoothDarts(SmoothDarts):
    """DARTS whose weight step computes at the weights within the radius that are worst for the training batch.

    They are found by `perturbation_steps` steps of sign ascent from a random shift, with BatchNorm in evaluation mode.
    The operation weights stay as they are if the loss there is not larger.
    """

    def __init__(self, config: SearchConfig | RnnSearchConfig) -> None:
        super().__init__(config)
        self._worst: dict[str, Tensor] = {}

    def draws_in(self, name: PassName) -> bool:
        return name == "attack" and self.radius > 0

    def prepare_weight_step(self, network: nn.Module, batch: Batch, weights: Sequence[Tensor]) -> None:
        """Find the worst operation weights for this batch."""
        self._worst = {}
        if not self.draws_in("attack"):
            return
        self.begin_pass("attack")
        alphas: dict[str, Tensor] = network.alphas  # type: ignore[assignment]
        clean = {kind: rows.detach() for kind, rows in SearchMethod.operation_weights(self, alphas).items()}
        point = {kind: self._shifted(kind, rows) for kind, rows in clean.items()}
        steps = self.config.perturbation_steps or 0
        training = network.training
        network.eval()
        try:
            with held(weights):
                for _ in range(steps):
                    rows = {kind: table.requires_grad_() for kind, table in point.items()}
                    gradients = torch.autograd.grad(self._loss(network, batch, rows), list(rows.values()))
                    point = {
                        kind: self._climbed(kind, table.detach(), gradient, clean[kind], steps)
                        for (kind, table), gradient in zip(rows.items(), gradients, strict=True)
                    }
                with torch.no_grad():
                    worse = self._loss(network, batch, point) >= self._loss(network, batch, clean)
        finally:
            network.train(training)
        # Chosen on the device, which is not waited for.
        self._worst = {kind: torch.where(worse, table, clean[kind]) for kind, table in point.items()}

    def operation_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """Those of DARTS; in the weight step the worst ones."""
        if self._within in ("attack", "weights") and self._worst:
            return self._worst
        return SearchMethod.operation_weights(self, alphas)

    def _loss(self, network: nn.Module, batch: Batch, rows: dict[str, Tensor]) -> Tensor:
        self._worst = rows
        return F.cross_entropy(network(batch.images), batch.labels)

    def _climbed(self, kind: str, rows: Tensor, gradient: Tensor, clean: Tensor, steps: int) -> Tensor:
        shift = (rows + 2 * self.radius / steps * gradient.sign() - clean).clamp(-self.radius, self.radius)
        return normalised(clean + shift, self.absent(kind, rows))


def normalised(rows: Tensor, absent: Tensor | None = None) -> Tensor:
    """Clamp rows to [0, 1] and divide them by their sums; rows of zeros become one-hot at their largest entry.

    absent: a mask of entries that are 0 in any case.
    """
    if absent is not None:
        rows = rows.masked_fill(absent, -torch.inf)
    clamped = rows.clamp(0, 1)
    total = clamped.sum(dim=-1, keepdim=True)
    hot = torch.zeros_like(rows).scatter_(-1, rows.argmax(dim=-1, keepdim=True), 1.0)
    return torch.where(total > 0, clamped / total.clamp_min(torch.finfo(rows.dtype).tiny), hot)
