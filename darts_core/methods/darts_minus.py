"""DARTS- (arXiv:2009.01027): a skip-connection besides the mixed operations, which fades out over the epochs."""

from __future__ import annotations

import math

from torch import Tensor

from darts_core.configs import RnnSearchConfig, SearchConfig
from darts_core.methods.method import SearchMethod, Tables
from darts_core.spaces.nasbench201 import CELL

_SKIP = "skip_connect"


class DartsMinus(SearchMethod):
    """DARTS whose edges add b times their input: b fades from 1 towards 0 with the epochs that have passed.

    Where an edge has stride 1, the branch is the identity, so that b is added to the weight of `skip_connect`. Where it
    has stride 2, the branch is a factorized reduction of its own. The discrete cell has no such branch.
    """

    def __init__(self, config: SearchConfig | RnnSearchConfig) -> None:
        super().__init__(config)
        self._masks: dict[str, Tensor] = {}

    @property
    def branches(self) -> bool:
        """Not with a scale of 0, which is plain DARTS."""
        return bool(self.config.branch_scale)

    @property
    def decay(self) -> float:
        """b in this epoch."""
        passed = (self.epoch - 1) / self.epochs
        schedules = {"linear": 1 - passed, "cosine": 0.5 * (1 + math.cos(math.pi * passed)), "constant": 1.0}
        return (self.config.branch_scale or 0.0) * schedules[self.config.branch_schedule or "linear"]

    @property
    def schedule(self) -> tuple[float, ...]:
        """With b."""
        return (*super().schedule, self.decay)

    def branch_weight(self, like: Tensor) -> Tensor:
        """b."""
        return self.scalar("branch", self.decay, like)

    def operation_weights(self, alphas: Tables) -> dict[str, Tensor]:
        """Those of DARTS, and b more for the skip-connections of stride 1."""
        weights = super().operation_weights(alphas)
        if not self.branches:
            return weights
        assert self.config.primitives is not None
        column = [*map(str, self.config.primitives)].index(_SKIP)
        return {kind: rows + self._added(kind, rows, column) for kind, rows in weights.items()}

    def _added(self, kind: str, rows: Tensor, column: int) -> Tensor:
        held = self._masks.get(kind)
        if held is None or held.device != rows.device or held.dtype != rows.dtype:
            held = rows.new_zeros(rows.shape)
            first, sources = 0, 1 if kind == CELL else 2
            while first < len(rows):
                # In a reduction cell, edges from the two inputs have stride 2.
                held[first + (2 if kind == "reduce" else 0) : first + sources, column] = 1
                first, sources = first + sources, sources + 1
            self._masks[kind] = held
        return self.branch_weight(rows) * held
