"""Recurrent searches whose gradients are recorded by torch's operations on the CPU, and counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from darts_core.bilevel.graphed_recurrent import GraphedRecurrentStep
from darts_core.bilevel.recurrent import Penalties
from darts_core.training.rnn_search import RnnSearch
from tests.support import recorded_operations


class Recordings:
    """Records by torch's operations and counts the recordings and their replays."""

    def __init__(self) -> None:
        self.made = self.replayed = 0

    def __call__(self, call: Callable[[], tuple[Tensor, ...]], _: object) -> Any:
        replay, result = recorded_operations.captured(call)
        self.made += 1

        def counted() -> None:
            self.replayed += 1
            replay()

        return counted, result


def graphed(search: RnnSearch, capture: Any) -> GraphedRecurrentStep:
    config = search.config
    return GraphedRecurrentStep(
        search.network,
        search.architect,
        search.weight_optimizer,
        grad_clip=config.grad_clip,
        penalties=Penalties(config.activation_penalty, config.slowness_penalty),
        capture=capture,
    )
