"""A genotype's cell over a window of text, arranged for speed; `plain.PlainGenotypeCell` is the same mathematics.

Forth, all nodes that read one state take one matrix product. Back, a weight's gradient is one product over all time
steps, where autograd would add up one a step. Nodes that the output does not depend on are left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_core.genotypes import RecurrentGenotype
from darts_core.models.recurrent.gates import ACTIVATIONS, Activation, gated, gated_backward, masked
from darts_core.models.recurrent.initial_states import InitialStates
from darts_core.models.recurrent.once import check_once


def run_genotype(
    genotype: RecurrentGenotype, x: Tensor, hidden: Tensor, h_mask: Tensor | None, w0: Tensor, ws: tuple[Tensor, ...]
) -> Tensor:
    """The outputs (T, B, size). x: (T, B, size). hidden, h_mask: (B, size). w0: (2 size, 2 size). ws: (size, 2 size).

    Can be differentiated once, and each result a single time: the way back writes over what the way forth kept.
    """
    plan = _plan(genotype, h_mask)
    outputs: Tensor = _GenotypeSequence.apply(plan, x, hidden, w0, *ws)
    return outputs


class _Reader(NamedTuple):
    """A node, counted from 0: it computes state node + 1."""

    node: int
    activation: Activation


class _Plan(NamedTuple):
    """readers: the nodes that read each state, in the order of the states. keep: whether there will be a way back."""

    readers: dict[int, list[_Reader]]
    concat: tuple[int, ...]
    h_mask: Tensor | None
    keep: bool


def _plan(genotype: RecurrentGenotype, h_mask: Tensor | None) -> _Plan:
    needed = set(genotype.concat)
    for node, (_, source) in reversed(list(enumerate(genotype.recurrent))):
        if node + 1 in needed:
            needed.add(source)
    readers: dict[int, list[_Reader]] = {}
    for node, (op, source) in enumerate(genotype.recurrent):
        if node + 1 in needed:
            readers.setdefault(source, []).append(_Reader(node, ACTIVATIONS[op]))
    return _Plan(dict(sorted(readers.items())), tuple(genotype.concat), h_mask, torch.is_grad_enabled())


class _GenotypeSequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: _Plan, x: Tensor, hidden: Tensor, w0: Tensor, *ws: Tensor) -> Tensor:
        steps, batch, size = x.shape
        initial = InitialStates.of(x, w0, plan.h_mask)
        wide = {
            j: torch.cat([ws[r.node] for r in readers], dim=1) if len(readers) > 1 else ws[readers[0].node]
            for j, readers in plan.readers.items()
        }
        rows = steps if plan.keep else 1
        read = {j: x.new_empty(rows, batch, size) for j in plan.readers}
        products = {j: x.new_empty(rows, batch, len(r), 2, size) for j, r in plan.readers.items()}
        outputs = torch.empty_like(x)
        before = hidden
        for t in range(steps):
            row = t if plan.keep else 0
            place = {j: kept[row] for j, kept in read.items()}
            states = {0: initial.forward(t, before, place[0])}
            for j, readers in plan.readers.items():
                product = products[j][row]
                torch.mm(masked(states[j], plan.h_mask), wide[j], out=product.view(batch, -1))
                for k, (node, activation) in enumerate(readers):
                    states[node + 1] = gated(states[j], product[:, k], activation, place.get(node + 1))
            before = torch.mean(torch.stack([states[j] for j in plan.concat]), dim=0, out=outputs[t])
        if plan.keep:
            ctx.plan, ctx.nodes = plan, len(ws)
            ctx.save_for_backward(
                x, hidden, w0, outputs, initial.products, *wide.values(), *read.values(), *products.values()
            )
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        check_once(ctx)
        plan: _Plan = ctx.plan
        x, hidden, w0, outputs, initial_products, *saved = ctx.saved_tensors
        count = len(plan.readers)
        wide, read, products = (
            dict(zip(plan.readers, saved[k * count : (k + 1) * count], strict=True)) for k in range(3)
        )
        initial = InitialStates(initial_products, w0, plan.h_mask)
        carried = torch.zeros_like(hidden)
        for t in reversed(range(len(x))):
            of_state = dict.fromkeys(plan.concat, (gradient[t] + carried) / len(plan.concat))
            for j, readers in reversed(plan.readers.items()):
                product = products[j][t]
                for k, (node, activation) in enumerate(readers):
                    past = gated_backward(of_state[node + 1], read[j][t], product[:, k], activation)
                    of_state[j] = of_state[j] + past if j in of_state else past
                of_state[j] = of_state[j] + masked(product.flatten(1) @ wide[j].T, plan.h_mask)
            carried = initial.backward(t, of_state[0], outputs[t - 1] if t else hidden)

        needs_x, needs_hidden, needs_w0, *needs_ws = ctx.needs_input_grad[1:]
        of_ws: list[Tensor | None] = [None] * ctx.nodes
        for j, readers in plan.readers.items():
            state = masked(read[j], plan.h_mask).flatten(0, 1)
            for k, (node, _) in enumerate(readers):
                if needs_ws[node]:
                    of_ws[node] = state.T @ products[j][:, :, k].flatten(2).flatten(0, 1)
        return (
            None,
            initial.input_gradient() if needs_x else None,
            carried if needs_hidden else None,
            initial.weight_gradient(x, hidden, outputs) if needs_w0 else None,
            *of_ws,
        )
