"""Computes a genotype's cell over a window of text; `plain.PlainGenotypeCell` is the reference.

States are columns. A state that several nodes read is masked once. A weight's gradient takes a few products over many
time steps, instead of one per step. Nodes that do not affect the output are skipped.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_core.genotypes import RecurrentGenotype
from darts_core.models.recurrent.columns import add_products, flipped
from darts_core.models.recurrent.gates import ACTIVATIONS, Activation, gated, gated_backward, masked
from darts_core.models.recurrent.initial_states import InitialStates, hidden_before
from darts_core.models.recurrent.single_backward import check_single_backward


def run_genotype(
    genotype: RecurrentGenotype, x: Tensor, hidden: Tensor, h_mask: Tensor | None, w0: Tensor, ws: tuple[Tensor, ...]
) -> Tensor:
    """Return the outputs (T, B, size). x: (T, B, size). hidden, h_mask: (B, size). w0: (2 size, 2 size).

    ws: (size, 2 size) each. Allows a single backward pass, which overwrites the saved activations, and no second
    derivative.
    """
    plan = _plan(genotype, h_mask)
    used = [ws[step.node] for step in plan.steps]
    outputs: Tensor = _GenotypeSequence.apply(plan, x, hidden, w0, *used)
    return outputs


class _Step(NamedTuple):
    """The step that computes state `node` + 1 from state `source`."""

    node: int
    source: int
    activation: Activation


class _Plan(NamedTuple):
    """h_mask: (size, B). keep: whether to save activations for a backward pass."""

    steps: list[_Step]
    concat: tuple[int, ...]
    h_mask: Tensor | None
    keep: bool

    def sources(self) -> list[int]:
        """Return the states that are read, in ascending order."""
        return sorted({step.source for step in self.steps})


def _plan(genotype: RecurrentGenotype, h_mask: Tensor | None) -> _Plan:
    needed = set(genotype.concat)
    steps = []
    for node, (op, source) in reversed(list(enumerate(genotype.recurrent))):
        if node + 1 in needed:
            needed.add(source)
            steps.append(_Step(node, source, ACTIVATIONS[op]))
    mask = None if h_mask is None else flipped(h_mask)
    return _Plan(steps[::-1], tuple(genotype.concat), mask, torch.is_grad_enabled())


class _GenotypeSequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: _Plan, x: Tensor, hidden: Tensor, w0: Tensor, *ws: Tensor) -> Tensor:
        length, batch, size = x.shape
        initial = InitialStates.of(x, w0, plan.h_mask)
        to_products = [flipped(w) for w in ws]
        rows = length if plan.keep else 1
        read = {j: x.new_empty(rows, size, batch) for j in plan.sources()}
        products = [x.new_empty(rows, 2, size, batch) for _ in plan.steps]
        outputs = x.new_empty(length, size, batch)
        before = flipped(hidden)
        for t in range(length):
            row = t if plan.keep else 0
            place = {j: kept[row] for j, kept in read.items()}
            states = {0: initial.forward(t, before, place[0])}
            factors: dict[int, Tensor] = {}
            for (node, source, activation), weight, kept in zip(plan.steps, to_products, products, strict=True):
                if source not in factors:
                    factors[source] = masked(states[source], plan.h_mask)
                product = kept[row]
                torch.mm(weight, factors[source], out=product.flatten(0, 1))
                states[node + 1] = gated(states[source], product, activation, place.get(node + 1))
            before = torch.mean(torch.stack([states[j] for j in plan.concat]), dim=0, out=outputs[t])
        result = flipped(outputs)
        if plan.keep:
            ctx.plan = plan
            ctx.save_for_backward(x, hidden, w0, result, initial.products, *ws, *products, *read.values())
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        check_single_backward(ctx)
        plan: _Plan = ctx.plan
        x, hidden, w0, outputs, initial_products, *saved = ctx.saved_tensors
        count = len(plan.steps)
        ws, products = saved[:count], saved[count : 2 * count]
        read = dict(zip(plan.sources(), saved[2 * count :], strict=True))
        needs_x, needs_hidden, needs_w0, *needs_ws = ctx.needs_input_grad[1:]

        initial = InitialStates(initial_products, w0, plan.h_mask)
        before = hidden_before(hidden, outputs)
        of_outputs = flipped(gradient)
        carried = torch.zeros_like(before[0])
        for t in reversed(range(len(x))):
            of_state = dict.fromkeys(plan.concat, (of_outputs[t] + carried) / len(plan.concat))
            for (node, source, activation), weight, kept in zip(
                reversed(plan.steps), reversed(ws), reversed(products), strict=True
            ):
                product = kept[t]
                past = gated_backward(of_state.pop(node + 1), read[source][t], product, activation)
                past += masked(weight @ product.flatten(0, 1), plan.h_mask)
                of_state[source] = of_state[source] + past if source in of_state else past
            carried = initial.backward(t, of_state[0], before[t])

        of_ws: list[Tensor | None] = [None] * count
        for k, step in enumerate(plan.steps):
            if needs_ws[k]:
                of_w = of_ws[k] = torch.zeros_like(ws[k])
                add_products(of_w, masked(read[step.source], plan.h_mask), products[k].flatten(1, 2))
        return (
            None,
            initial.input_gradient() if needs_x else None,
            carried.T if needs_hidden else None,
            initial.weight_gradient(x, before) if needs_w0 else None,
            *of_ws,
        )
