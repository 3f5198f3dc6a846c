"""Computes the search cell over a window of text on a GPU, in two launches for each state of a time step.

One is a matrix product, the other a kernel that mixes the edges leaving a state and normalises the next one; back
likewise. The backward pass recomputes activations. `plain.PlainSearchCell` is the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from darts_core.models.recurrent.columns import add_products, flipped
from darts_core.models.recurrent.gates import masked
from darts_core.models.recurrent.initial_states import hidden_before
from darts_core.models.recurrent.single_backward import check_single_backward
from darts_core.models.recurrent.state_norm import StateNorm

if TYPE_CHECKING:
    from darts_core.kernels.gpu.recurrent.steps import Norm


class Plan(NamedTuple):
    """h_mask: (size, B). keep: whether to save activations for a backward pass."""

    primitives: tuple[str, ...]
    norm: nn.BatchNorm1d
    h_mask: Tensor | None
    keep: bool


def run_on_gpu(plan: Plan, x: Tensor, hidden: Tensor, shares: Tensor, w0: Tensor, ws: tuple[Tensor, ...]) -> Tensor:
    """Return the outputs, like `run_search`. Requires Triton."""
    outputs: Tensor = _Sequence.apply(plan, x, hidden, shares, w0, *ws)
    return outputs


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: Plan, x: Tensor, hidden: Tensor, shares: Tensor, w0: Tensor, *ws: Tensor) -> Tensor:
        from darts_core.kernels.gpu.recurrent import steps

        (length, batch, size), nodes = x.shape, len(ws)
        from_x, from_hidden = w0.chunk(2)
        initial = flipped(x @ from_x).unflatten(1, (2, -1))  # type: ignore[no-untyped-call]
        to_initial, to_products = flipped(from_hidden), torch.cat([w.T for w in ws])
        norms = StateNorm(plan.norm, length * (nodes + 1), batch)
        table = _table(plan.primitives, shares)
        rows = length if plan.keep else 1
        states = x.new_empty(nodes + 1, rows, size, batch)
        products = [x.new_empty(rows, nodes - j, 2, size, batch) for j in range(nodes)]
        sums, read, outputs = (
            x.new_empty(nodes, size, batch),
            x.new_empty(size, batch),
            x.new_empty(length, size, batch),
        )
        before = flipped(hidden)
        factor = masked(before, plan.h_mask)
        for t in range(length):
            row = t if plan.keep else 0
            first = t * (nodes + 1)
            initial[t].flatten(0, 1).addmm_(to_initial, factor)
            steps.begin(initial[t], before, plan.h_mask, _norm(norms, first), states[0, row], read)
            before = outputs[t]
            for j in range(nodes):
                state, following, product = states[j, row], states[j + 1, row], products[j][row]
                factor = state if plan.h_mask is None else read
                torch.mm(to_products[2 * size * j :], factor, out=product.flatten(0, 2))
                norm = _norm(norms, first + j + 1)
                steps.mix(j, product, state, table, sums, plan.h_mask, norm, following, read, before)
            factor = before if plan.h_mask is None else read
        norms.finish()
        result = flipped(outputs)
        if plan.keep:
            ctx.plan, ctx.norms = plan, norms
            ctx.save_for_backward(x, hidden, shares, w0, result, initial, states, *ws, *products)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        from darts_core.kernels.gpu.recurrent import steps

        check_single_backward(ctx)
        plan: Plan = ctx.plan
        x, hidden, shares, w0, outputs, initial, states, *saved = ctx.saved_tensors
        nodes = len(states) - 1
        ws, products = saved[:nodes], saved[nodes:]
        length, batch, size = x.shape
        needs_x, needs_hidden, needs_shares, needs_w0, *needs_ws = ctx.needs_input_grad[1:]

        from_x, from_hidden = w0.chunk(2)
        wide, table = torch.cat(ws, dim=1), _table(plan.primitives, shares)
        parts = x.new_zeros(size, *table.shape) if needs_shares else None
        before, of_outputs = hidden_before(hidden, outputs), flipped(gradient)
        of_sums, of_output = x.new_empty(nodes, size, batch), x.new_empty(size, batch)
        carried = steps.Carried(*x.new_zeros(2, size, batch))
        for t in reversed(range(length)):
            first = t * (nodes + 1)
            for j in reversed(range(nodes)):
                product, norm = products[j][t], _norm(ctx.norms, first + j + 1)
                steps.mix_backward(
                    j, product, states[j, t], table, of_sums, plan.h_mask, norm, states[j + 1, t], carried,
                    of_outputs[t], of_output, parts,
                )  # fmt: skip
                torch.mm(wide[:, 2 * size * j :], product.flatten(0, 2), out=carried.through)
            norm = _norm(ctx.norms, first)
            steps.begin_backward(initial[t], before[t], plan.h_mask, norm, states[0, t], carried)
            torch.mm(from_hidden, initial[t].flatten(0, 1), out=carried.through)

        of_initial = initial.flatten(1, 2)
        of_w0: Tensor | None = None
        if needs_w0:
            of_w0 = torch.zeros_like(w0)
            add_products(of_w0[:size], x.mT, of_initial)
            add_products(of_w0[size:], masked(before, plan.h_mask), of_initial)
        of_ws: Sequence[Tensor | None] = [None] * nodes
        if any(needs_ws):
            of_wide = torch.zeros_like(wide)
            for j in range(nodes):
                add_products(of_wide[:, 2 * size * j :], masked(states[j], plan.h_mask), products[j].flatten(1, 3))
            of_ws = [part.contiguous() for part in torch.split(of_wide, 2 * size, dim=1)]
        return (
            None,
            of_initial.mT @ from_x.T if needs_x else None,
            (carried.past + masked(carried.through, plan.h_mask)).T if needs_hidden else None,
            None if parts is None else _of_shares(plan.primitives, parts),
            of_w0,
            *of_ws,
        )


def _norm(norms: StateNorm, k: int) -> Norm:
    from darts_core.kernels.gpu.recurrent.steps import Norm

    return Norm(norms.mean[k], norms.variance[k], norms.inverse[k], norms.module.eps, norms.training)


def _table(primitives: Sequence[str], shares: Tensor) -> Tensor:
    """The kernels' columns of shares, (edges, 5); `none` has none."""
    from darts_core.kernels.gpu.recurrent.steps import COLUMNS

    missing = shares.new_zeros(len(shares))
    columns = [shares[:, primitives.index(op)] if op in primitives else missing for op in COLUMNS]
    table = torch.stack(columns, dim=1)
    return torch.cat([table, table.sum(dim=1, keepdim=True)], dim=1)


def _of_shares(primitives: Sequence[str], parts: Tensor) -> Tensor:
    """The gradient of the shares, from that of the kernels' columns, (size, edges, 5), unit by unit."""
    from darts_core.kernels.gpu.recurrent.steps import COLUMNS

    found = parts.sum(dim=0)
    of_columns, missing = found[:, :-1] + found[:, -1:], found.new_zeros(len(found))
    return torch.stack([missing if op == "none" else of_columns[:, COLUMNS.index(op)] for op in primitives], dim=1)
