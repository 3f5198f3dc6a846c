"""Computes what lies between the matrix products of a time step of the search cell, in one Triton kernel each.

States, sums and gradients are columns, (size, B), dense. A program computes one unit's row: it mixes the edges that
leave a state, and normalises the next state over the columns. A product [c, h] is (2, size, B); of the edges that leave
state j, (nodes - j, 2, size, B). shares: (edges, 5) in the order of the alpha table: those of `COLUMNS`, and their sum.
"""

# ruff: noqa: N803 - capitals are compile-time constants, by Triton's convention.

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from typing import Final, NamedTuple

import triton
import triton.language as tl
from torch import Tensor

COLUMNS: Final = ("tanh", "relu", "sigmoid", "identity")
_SIZES: Final = ("size", "batch", "source", "nodes")
# Elements of a row for each thread, at most.
_PER_THREAD: Final = 2


class Norm(NamedTuple):
    """BatchNorm of one batch: mean, variance and inverse deviation, (size, 1), written in training and read otherwise.

    Evaluation reads no variance.
    """

    mean: Tensor
    variance: Tensor
    inverse: Tensor
    eps: float
    training: bool


def begin(product: Tensor, hidden: Tensor, mask: Tensor | None, norm: Norm, state: Tensor, masked: Tensor) -> None:
    """Write the normalised initial state of a time step, and that state times the mask; without a mask, only the first.

    product: raw [c, h], (2, size, B). hidden: the previous output. state, masked: (size, B).
    """
    size, batch = hidden.shape
    _begin[(size,)](
        product, hidden, hidden if mask is None else mask, state, masked, norm.mean, norm.variance, norm.inverse,
        size, batch, EPS=norm.eps, MASKED=mask is not None, TRAINING=norm.training, **_row(batch),
    )  # fmt: skip


def mix(
    source: int,
    product: Tensor,
    state: Tensor,
    shares: Tensor,
    sums: Tensor,
    mask: Tensor | None,
    norm: Norm,
    following: Tensor,
    masked: Tensor,
    out: Tensor,
) -> None:
    """Mix the edges that leave state `source`, and write the normalised next state, which is complete by then.

    sums: (nodes, size, B), of all nodes; those of later nodes are updated. following, masked: the next state, and that
    state times the mask. out: (size, B), the sum of the states so far. With the last one it becomes their mean, and
    `masked` that mean times the mask.
    """
    nodes, (size, batch) = len(sums), state.shape
    _mix[(size,)](
        product, state, shares, sums, state if mask is None else mask, following, masked, out,
        norm.mean, norm.variance, norm.inverse, size, batch, source, nodes,
        EPS=norm.eps, MASKED=mask is not None, TRAINING=norm.training, **_row(batch),
    )  # fmt: skip


class Carried(NamedTuple):
    """The gradient of a state or of an output in parts, (size, B): direct, and through its products, still unmasked."""

    past: Tensor
    through: Tensor


def mix_backward(
    source: int,
    product: Tensor,
    state: Tensor,
    shares: Tensor,
    of_sums: Tensor,
    mask: Tensor | None,
    norm: Norm,
    following: Tensor,
    carried: Carried,
    of_outputs: Tensor,
    of_output: Tensor,
    parts: Tensor | None,
) -> None:
    """Go back through `mix`: from the gradient of the next state to that of state `source`.

    product: as `mix` read it; overwritten by its gradient. of_sums: of the nodes; this one's is written, those of later
    ones are there. carried: of the next state, or of the output where that is the last; `past` becomes that of state
    `source`. of_outputs: of the output, from outside, read where the next state is the last. of_output: what each state
    has of the output's gradient, written there and read otherwise. parts: (size, edges, 5), to which each unit's
    gradients of the shares are added; None if not needed.
    """
    nodes, (size, batch) = len(of_sums), state.shape
    _mix_backward[(size,)](
        product, state, shares, of_sums, state if mask is None else mask, following, norm.inverse, *carried,
        of_outputs, of_output, of_output if parts is None else parts, size, batch, source, nodes,
        LAST=source == nodes - 1, MASKED=mask is not None, TRAINING=norm.training, SHARES=parts is not None,
        **_row(batch),
    )  # fmt: skip


def begin_backward(
    product: Tensor, hidden: Tensor, mask: Tensor | None, norm: Norm, state: Tensor, carried: Carried
) -> None:
    """Go back through `begin`. product: overwritten by its gradient. carried: of the state; `past`, of hidden."""
    size, batch = hidden.shape
    _begin_backward[(size,)](
        product, hidden, hidden if mask is None else mask, state, norm.inverse, *carried, size, batch,
        MASKED=mask is not None, TRAINING=norm.training, **_row(batch),
    )  # fmt: skip


def _row(batch: int) -> dict[str, int]:
    """The padded length of a row, and the warps that hold it."""
    length = max(16, triton.next_power_of_2(batch))
    return {"ROW": length, "num_warps": max(1, min(16, length // (32 * _PER_THREAD)))}


@triton.jit
def _sigmoid(x):
    return 1 / (1 + tl.exp(-x))


@triton.jit
def _tanh(x):
    # Right to the last places of 1, not of x: it is added to other activations.
    return 2 / (1 + tl.exp(-2 * x)) - 1


@triton.jit
def _normalised(x, there, row, means, variances, inverses, batch, EPS: tl.constexpr, TRAINING: tl.constexpr):
    """x: 0 where it is not there."""
    if TRAINING:
        mean = tl.sum(x, 0) / batch
        centred = tl.where(there, x - mean, 0)
        variance = tl.sum(centred * centred, 0) / batch
        inverse = 1 / tl.sqrt(variance + EPS)
        tl.store(means + row, mean)
        tl.store(variances + row, variance)
        tl.store(inverses + row, inverse)
        result = centred * inverse
    else:
        result = (x - tl.load(means + row)) * tl.load(inverses + row)
    return result


@triton.jit
def _denormalised(g, normalised, there, inverse, batch, TRAINING: tl.constexpr):
    """Map the gradient of a normalised row to that of the row. g, normalised: 0 where they are not there."""
    if TRAINING:
        g = g - tl.sum(g, 0) / batch - normalised * (tl.sum(g * normalised, 0) / batch)
    return tl.where(there, g * inverse, 0)


@triton.jit(do_not_specialize=_SIZES)
def _begin(
    product, hidden, mask, state, masked, means, variances, inverses, size, batch,
    EPS: tl.constexpr, MASKED: tl.constexpr, TRAINING: tl.constexpr, ROW: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    column = tl.arange(0, ROW)
    there = column < batch
    place = row * batch + column
    gate = _sigmoid(tl.load(product + place, mask=there, other=0))
    value = _tanh(tl.load(product + size * batch + place, mask=there, other=0))
    before = tl.load(hidden + place, mask=there, other=0)
    x = tl.where(there, before + gate * (value - before), 0)
    result = _normalised(x, there, row, means, variances, inverses, batch, EPS, TRAINING)
    tl.store(state + place, result, mask=there)
    if MASKED:
        tl.store(masked + place, result * tl.load(mask + place, mask=there, other=0), mask=there)


@triton.jit
def _edge(product, shares, s, place, plane, there):
    """The output of one edge; any numbers where it is not there."""
    gate = _sigmoid(tl.load(product + place, mask=there, other=0))
    h = tl.load(product + plane + place, mask=there, other=0)
    mixed = tl.load(shares) * _tanh(h) + tl.load(shares + 1) * tl.where(h < 0, 0, h)
    mixed += tl.load(shares + 2) * _sigmoid(h) + tl.load(shares + 3) * h
    kept = tl.load(shares + 4) * s
    return kept + gate * (mixed - kept)


@triton.jit(do_not_specialize=_SIZES)
def _mix(
    product, state, shares, sums, mask, following, masked, out, means, variances, inverses,
    size, batch, source, nodes,
    EPS: tl.constexpr, MASKED: tl.constexpr, TRAINING: tl.constexpr, ROW: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    column = tl.arange(0, ROW)
    there = column < batch
    place = row * batch + column
    plane = size * batch
    later = there & (source > 0)
    s = tl.load(state + place, mask=there, other=0)
    # Of the alpha table's rows, ordered by node, those of edges from this source.
    edge = source * (source + 1) // 2 + source
    x = _edge(product, shares + 5 * edge, s, place, plane, there)
    x += tl.load(sums + source * plane + place, mask=later, other=0)
    for node in range(source + 1, nodes):
        edge = node * (node + 1) // 2 + source
        y = _edge(product + 2 * (node - source) * plane, shares + 5 * edge, s, place, plane, there)
        y += tl.load(sums + node * plane + place, mask=later, other=0)
        tl.store(sums + node * plane + place, y, mask=there)
    x = tl.where(there, x, 0)
    result = _normalised(x, there, row, means, variances, inverses, batch, EPS, TRAINING)
    tl.store(following + place, result, mask=there)
    total = result + tl.load(out + place, mask=later, other=0)
    if source == nodes - 1:
        total = total / nodes
        result = total
    tl.store(out + place, total, mask=there)
    if MASKED:
        tl.store(masked + place, result * tl.load(mask + place, mask=there, other=0), mask=there)


@triton.jit
def _carried(past, through, mask, place, there, MASKED: tl.constexpr):
    g = tl.load(through + place, mask=there, other=0)
    if MASKED:
        g *= tl.load(mask + place, mask=there, other=0)
    return g + tl.load(past + place, mask=there, other=0)


@triton.jit
def _edge_backward(product, shares, parts, s, g, place, plane, there, SHARES: tl.constexpr):
    """Overwrite the product by its gradient, and return the direct one of s. g: of the sum, 0 where it is not there."""
    gate = _sigmoid(tl.load(product + place, mask=there, other=0))
    h = tl.load(product + plane + place, mask=there, other=0)
    tanh, relu, sigmoid = _tanh(h), tl.where(h < 0, 0, h), _sigmoid(h)
    of_tanh, of_relu, of_sigmoid = tl.load(shares), tl.load(shares + 1), tl.load(shares + 2)
    of_identity, kept = tl.load(shares + 3), tl.load(shares + 4)
    through = g * gate
    past = g - through
    mixed = of_tanh * tanh + of_relu * relu + of_sigmoid * sigmoid + of_identity * h - kept * s
    slope = of_tanh * (1 - tanh * tanh) + of_sigmoid * (sigmoid * (1 - sigmoid)) + of_identity
    slope += tl.where(h > 0, of_relu, 0)
    tl.store(product + place, g * mixed * (gate * (1 - gate)), mask=there)
    tl.store(product + plane + place, through * slope, mask=there)
    if SHARES:
        tl.store(parts, tl.load(parts) + tl.sum(through * tanh, 0))
        tl.store(parts + 1, tl.load(parts + 1) + tl.sum(through * relu, 0))
        tl.store(parts + 2, tl.load(parts + 2) + tl.sum(through * sigmoid, 0))
        tl.store(parts + 3, tl.load(parts + 3) + tl.sum(through * h, 0))
        tl.store(parts + 4, tl.load(parts + 4) + tl.sum(past * s, 0))
    return past * kept


@triton.jit(do_not_specialize=_SIZES)
def _mix_backward(
    product, state, shares, of_sums, mask, following, inverses, past, through, of_outputs, of_output, parts,
    size, batch, source, nodes,
    LAST: tl.constexpr, MASKED: tl.constexpr, TRAINING: tl.constexpr, SHARES: tl.constexpr, ROW: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    column = tl.arange(0, ROW)
    there = column < batch
    place = row * batch + column
    plane = size * batch
    parts += row * (nodes * (nodes + 1) // 2) * 5
    g = _carried(past, through, mask, place, there, MASKED)
    if LAST:
        g = (g + tl.load(of_outputs + place, mask=there, other=0)) / nodes
        tl.store(of_output + place, g, mask=there)
    else:
        g += tl.load(of_output + place, mask=there, other=0)
    normalised = tl.load(following + place, mask=there, other=0)
    g = _denormalised(g, normalised, there, tl.load(inverses + row), batch, TRAINING)
    tl.store(of_sums + source * plane + place, g, mask=there)
    s = tl.load(state + place, mask=there, other=0)
    edge = source * (source + 1) // 2 + source
    total = _edge_backward(product, shares + 5 * edge, parts + 5 * edge, s, g, place, plane, there, SHARES)
    for node in range(source + 1, nodes):
        edge = node * (node + 1) // 2 + source
        g = tl.load(of_sums + node * plane + place, mask=there, other=0)
        total += _edge_backward(
            product + 2 * (node - source) * plane, shares + 5 * edge, parts + 5 * edge, s, g, place, plane, there,
            SHARES,
        )  # fmt: skip
    tl.store(past + place, total, mask=there)


@triton.jit(do_not_specialize=_SIZES)
def _begin_backward(
    product, hidden, mask, state, inverses, past, through, size, batch,
    MASKED: tl.constexpr, TRAINING: tl.constexpr, ROW: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    column = tl.arange(0, ROW)
    there = column < batch
    place = row * batch + column
    g = _carried(past, through, mask, place, there, MASKED)
    normalised = tl.load(state + place, mask=there, other=0)
    g = _denormalised(g, normalised, there, tl.load(inverses + row), batch, TRAINING)
    gate = _sigmoid(tl.load(product + place, mask=there, other=0))
    value = _tanh(tl.load(product + size * batch + place, mask=there, other=0))
    before = tl.load(hidden + place, mask=there, other=0)
    onwards = g * gate
    tl.store(product + place, g * (value - before) * (gate * (1 - gate)), mask=there)
    tl.store(product + size * batch + place, onwards * (1 - value * value), mask=there)
    tl.store(past + place, g - onwards, mask=there)
