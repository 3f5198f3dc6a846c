"""Carries weights, alphas and optimisers over to the next stage's network: DrNAS (arXiv:2006.10355), section 3.3."""

from __future__ import annotations

import torch
from torch import Tensor

from darts_core.bilevel.architect import Architect
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.widening import widened, widening_of

_MOMENTUM = "momentum_buffer"


@torch.no_grad()
def carry_over(
    before: tuple[AlphaNetwork, torch.optim.SGD, Architect],
    after: tuple[AlphaNetwork, torch.optim.SGD, Architect],
    generator: torch.Generator,
) -> None:
    """Fill the next stage's network and optimisers from those of the stage before.

    Weights and momentum buffers are widened by the same indices. The moments of the alphas' optimiser stay. The alphas
    of operations that their edge has lost become 0.
    """
    narrow, sgd, architect = before
    wide, next_sgd, next_architect = after
    sources = widening_of(narrow, wide, generator)
    wide.load_state_dict(widened(narrow.state_dict(), list(wide.state_dict()), sources))
    wide.load_alphas(narrow.alphas)
    wide.method.rest(wide.alphas)
    next_architect.optimizer.load_state_dict(architect.optimizer.state_dict())
    buffers = _momentum(narrow, sgd)
    if not buffers:
        return
    names = {id(parameter): name for name, parameter in wide.named_parameters()}
    order = [names[id(parameter)] for parameter in next_sgd.param_groups[0]["params"]]
    state = next_sgd.state_dict()
    state["state"] = {
        place: {_MOMENTUM: buffer} for place, buffer in enumerate(widened(buffers, order, sources).values())
    }
    next_sgd.load_state_dict(state)


def _momentum(network: AlphaNetwork, optimizer: torch.optim.SGD) -> dict[str, Tensor]:
    """The momentum buffers by the parameters' names; none before the first step."""
    found = {
        name: optimizer.state[parameter].get(_MOMENTUM)
        for name, parameter in network.named_parameters()
        if parameter in optimizer.state
    }
    return {name: buffer for name, buffer in found.items() if buffer is not None}
