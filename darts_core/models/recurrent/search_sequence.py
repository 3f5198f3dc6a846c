"""Computes the search cell over a window of text; `plain.PlainSearchCell` is the reference.

States are columns. In the forward pass, one matrix product per state serves all nodes that read it. The backward pass
recomputes activations, and a weight's gradient takes a few products over many time steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from darts_core.kernels.gpu import recurrent as gpu
from darts_core.models.recurrent.columns import add_products, flipped
from darts_core.models.recurrent.gates import masked
from darts_core.models.recurrent.gpu_sequence import Plan, run_on_gpu
from darts_core.models.recurrent.initial_states import InitialStates, hidden_before
from darts_core.models.recurrent.kernel_passes import KernelMixture, has_kernels
from darts_core.models.recurrent.mixture import Mixture
from darts_core.models.recurrent.single_backward import check_single_backward
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
    """Return the outputs (T, B, size). shares: (edges, primitives). Otherwise like `run_genotype`."""
    plan = Plan(tuple(primitives), norm, None if h_mask is None else flipped(h_mask), torch.is_grad_enabled())
    if gpu.serves(x):
        return run_on_gpu(plan, x, hidden, shares, w0, ws)
    outputs: Tensor = _SearchSequence.apply(plan, x, hidden, shares, w0, *ws)
    return outputs


class _SearchSequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: Plan, x: Tensor, hidden: Tensor, shares: Tensor, w0: Tensor, *ws: Tensor) -> Tensor:
        (length, batch, size), nodes = x.shape, len(ws)
        initial = InitialStates.of(x, w0, plan.h_mask)
        norm = StateNorm(plan.norm, length * (nodes + 1), batch)
        mixtures = _mixtures(plan, shares, nodes)
        # One block of rows per node; the nodes that read state j have the last ones.
        to_products = torch.cat([w.T for w in ws])
        rows = length if plan.keep else 1
        states = x.new_empty(nodes + 1, rows, size, batch)
        products = [x.new_empty(rows, nodes - j, 2, size, batch) for j in range(nodes)]
        outputs = x.new_empty(length, size, batch)
        before = flipped(hidden)
        for t in range(length):
            row = t if plan.keep else 0
            sums = x.new_zeros(nodes, size, batch)
            source = initial.forward(t, before)
            for j in range(nodes):
                state, product = states[j, row], products[j][row]
                norm.forward(t * (nodes + 1) + j, source, state)
                torch.mm(to_products[2 * size * j :], masked(state, plan.h_mask), out=product.flatten(0, 2))
                mixtures[j].forward(state, product, sums[j:])
                source = sums[j]
            norm.forward(t * (nodes + 1) + nodes, source, states[nodes, row])
            before = torch.mean(states[1:, row], dim=0, out=outputs[t])
        norm.finish()
        result = flipped(outputs)
        if plan.keep:
            ctx.plan, ctx.training = plan, plan.norm.training
            ctx.save_for_backward(x, hidden, shares, w0, result, initial.products, norm.inverse, states, *ws, *products)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        check_single_backward(ctx)
        plan: Plan = ctx.plan
        x, hidden, shares, w0, outputs, initial_products, inverse, states, *saved = ctx.saved_tensors
        nodes = len(states) - 1
        ws, products = saved[:nodes], saved[nodes:]
        length, batch, size = x.shape
        needs_x, needs_hidden, needs_shares, needs_w0, *needs_ws = ctx.needs_input_grad[1:]

        initial = InitialStates(initial_products, w0, plan.h_mask)
        mixtures = _mixtures(plan, shares, nodes)
        of_shares = [torch.zeros_like(rows) for rows in _leaving(shares, nodes)] if needs_shares else None
        wide = torch.cat(ws, dim=1)
        before = hidden_before(hidden, outputs)
        of_outputs = flipped(gradient)
        carried = torch.zeros_like(before[0])
        of_sums = x.new_empty(nodes, size, batch)
        of_source = x.new_empty(size, batch)
        for t in reversed(range(length)):
            first = t * (nodes + 1)
            of_output = (of_outputs[t] + carried).div_(nodes)
            of_state = of_output
            for j in reversed(range(nodes)):
                norm_backward(of_state, states[j + 1, t], inverse[first + j + 1], ctx.training, of_sums[j])
                product = products[j][t]
                of_state = mixtures[j].backward(
                    of_sums[j:], states[j, t], product, None if of_shares is None else of_shares[j]
                )
                of_state += masked(wide[:, 2 * size * j :] @ product.flatten(0, 2), plan.h_mask)
                if j > 0:
                    of_state += of_output
            norm_backward(of_state, states[0, t], inverse[first], ctx.training, of_source)
            carried = initial.backward(t, of_source, before[t])

        of_ws: list[Tensor | None] = [None] * nodes
        if any(needs_ws):
            of_wide = torch.zeros_like(wide)
            for j in range(nodes):
                add_products(of_wide[:, 2 * size * j :], masked(states[j], plan.h_mask), products[j].flatten(1, 3))
            of_ws = [part.contiguous() for part in torch.split(of_wide, 2 * size, dim=1)]
        return (
            None,
            initial.input_gradient() if needs_x else None,
            carried.T if needs_hidden else None,
            None if of_shares is None else _entering(of_shares),
            initial.weight_gradient(x, before) if needs_w0 else None,
            *of_ws,
        )


def _mixtures(plan: Plan, shares: Tensor, nodes: int) -> Sequence[Mixture | KernelMixture]:
    kind = KernelMixture if has_kernels(shares) else Mixture
    return [kind(plan.primitives, rows) for rows in _leaving(shares, nodes)]


def _leaving(shares: Tensor, nodes: int) -> list[Tensor]:
    """The rows of the table, which is ordered by node, of the edges that leave each state.

    Stacked row by row: an index would be copied from the host, for which a GPU is waited for.
    """
    return [torch.stack([shares[recurrent_edges_of(node) + j] for node in range(j, nodes)]) for j in range(nodes)]


def _entering(leaving: Sequence[Tensor]) -> Tensor:
    """The table of these rows."""
    return torch.stack([leaving[j][node - j] for node in range(len(leaving)) for j in range(node + 1)])
