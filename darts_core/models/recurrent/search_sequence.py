"""The search cell over a window of text, arranged for speed; `plain.PlainSearchCell` is the same mathematics.

Forth, a state takes one matrix product for all nodes that read it. Back, activations are computed anew rather than
kept, and a weight's gradient is one product over all time steps, where autograd would add up one a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from darts_core.models.recurrent.gates import masked
from darts_core.models.recurrent.initial_states import InitialStates
from darts_core.models.recurrent.mixture import Mixture
from darts_core.models.recurrent.once import check_once
from darts_core.models.recurrent.state_norm import StateNorm, norm_backward
from darts_core.primitives import recurrent_edges_of


def run_search(
    primitives: Sequence[str],
    norm: nn.BatchNorm1d,
    x: Tensor,
    hidden: Tensor,
    h_mask: Tensor | None,
    shares: Tensor,
    w0: Tensor,
    ws: tuple[Tensor, ...],
) -> Tensor:
    """The outputs (T, B, size). shares: (edges, primitives). The others and the limits are those of `run_genotype`."""
    plan = _Plan(tuple(primitives), norm, h_mask, torch.is_grad_enabled())
    outputs: Tensor = _SearchSequence.apply(plan, x, hidden, shares, w0, *ws)
    return outputs


class _Plan(NamedTuple):
    """keep: whether there will be a way back."""

    primitives: tuple[str, ...]
    norm: nn.BatchNorm1d
    h_mask: Tensor | None
    keep: bool


class _SearchSequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: _Plan, x: Tensor, hidden: Tensor, shares: Tensor, w0: Tensor, *ws: Tensor) -> Tensor:
        (steps, batch, size), nodes = x.shape, len(ws)
        initial = InitialStates.of(x, w0, plan.h_mask)
        norm = StateNorm(plan.norm, steps * (nodes + 1), batch)
        mixtures = _mixtures(plan, shares, nodes)
        # Column blocks of the nodes: those that read state j are the last of them.
        wide = torch.cat(ws, dim=1)
        rows = steps if plan.keep else 1
        states = x.new_empty(nodes + 1, rows, batch, size)
        products = [x.new_empty(rows, batch, nodes - j, 2, size) for j in range(nodes)]
        outputs = torch.empty_like(x)
        before = hidden
        for t in range(steps):
            row = t if plan.keep else 0
            sums = x.new_zeros(batch, nodes, size)
            source = initial.forward(t, before)
            for j in range(nodes):
                state, product = states[j, row], products[j][row]
                norm.forward(t * (nodes + 1) + j, source, state)
                torch.mm(masked(state, plan.h_mask), wide[:, 2 * size * j :], out=product.view(batch, -1))
                mixtures[j].forward(state, product, sums[:, j:])
                source = sums[:, j]
            norm.forward(t * (nodes + 1) + nodes, source, states[nodes, row])
            before = torch.mean(states[1:, row], dim=0, out=outputs[t])
        norm.finish()
        if plan.keep:
            ctx.plan, ctx.training = plan, plan.norm.training
            ctx.save_for_backward(
                x, hidden, shares, w0, wide, outputs, initial.products, norm.inverse, states, *products
            )
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        check_once(ctx)
        plan: _Plan = ctx.plan
        x, hidden, shares, w0, wide, outputs, initial_products, inverse, states, *products = ctx.saved_tensors
        needs_x, needs_hidden, needs_shares, needs_w0, *needs_ws = ctx.needs_input_grad[1:]
        (steps, batch, size), nodes = x.shape, len(products)
        initial = InitialStates(initial_products, w0, plan.h_mask)
        mixtures = _mixtures(plan, shares, nodes)
        of_shares = [torch.zeros_like(rows) for rows in _leaving(shares, nodes)] if needs_shares else None
        carried = torch.zeros_like(hidden)
        of_sums = x.new_empty(batch, nodes, size)
        of_source = x.new_empty(batch, size)
        for t in reversed(range(steps)):
            first = t * (nodes + 1)
            of_output = (gradient[t] + carried) / nodes
            of_state = of_output
            for j in reversed(range(nodes)):
                norm_backward(of_state, states[j + 1, t], inverse[first + j + 1], ctx.training, of_sums[:, j])
                product = products[j][t]
                past = mixtures[j].backward(
                    of_sums[:, j:], states[j, t], product, None if of_shares is None else of_shares[j]
                )
                through = masked(product.flatten(1) @ wide[:, 2 * size * j :].T, plan.h_mask)
                of_state = past + through if j == 0 else past.add_(through).add_(of_output)
            norm_backward(of_state, states[0, t], inverse[first], ctx.training, of_source)
            carried = initial.backward(t, of_source, outputs[t - 1] if t else hidden)

        of_ws: list[Tensor | None] = [None] * nodes
        if any(needs_ws):
            of_wide = torch.zeros_like(wide)
            for j in range(nodes):
                state = masked(states[j], plan.h_mask).flatten(0, 1)
                of_wide[:, 2 * size * j :].addmm_(state.T, products[j].view(steps * batch, -1))
            of_ws = [part.contiguous() for part in torch.split(of_wide, 2 * size, dim=1)]
        return (
            None,
            initial.input_gradient() if needs_x else None,
            carried if needs_hidden else None,
            None if of_shares is None else _entering(of_shares, shares),
            initial.weight_gradient(x, hidden, outputs) if needs_w0 else None,
            *of_ws,
        )


def _mixtures(plan: _Plan, shares: Tensor, nodes: int) -> list[Mixture]:
    return [Mixture(plan.primitives, rows) for rows in _leaving(shares, nodes)]


def _rows(nodes: int) -> list[list[int]]:
    """The rows of the alpha table, which goes by nodes, of the edges that leave each state."""
    return [[recurrent_edges_of(node) + j for node in range(j, nodes)] for j in range(nodes)]


def _leaving(shares: Tensor, nodes: int) -> list[Tensor]:
    return [shares[rows] for rows in _rows(nodes)]


def _entering(of_shares: Sequence[Tensor], shares: Tensor) -> Tensor:
    table = torch.zeros_like(shares)
    for rows, part in zip(_rows(len(of_shares)), of_shares, strict=True):
        table[rows] = part
    return table
