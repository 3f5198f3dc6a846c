"""Defines the candidate operations of a cell, and the spaces of recurrent cells. Imports no torch.

DARTS (arXiv:1806.09055), sections 3.1.1 and 3.1.2. A space's order is the column order of its alphas.
`darts_core.spaces` has the spaces of convolutional cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

CnnPrimitive = Literal[
    "none",
    "noise",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "nor_conv_1x1",
    "nor_conv_3x3",
]
OPERATIONS: Final[tuple[CnnPrimitive, ...]] = get_args(CnnPrimitive)
"""All candidate operations of any space, in the order of columns."""
CNN_PRIMITIVES: Final[tuple[CnnPrimitive, ...]] = tuple(
    name for name in OPERATIONS if name not in ("noise", "nor_conv_1x1", "nor_conv_3x3")
)
"""The operations of DARTS."""
# In the benchmark's order.
NASBENCH201_PRIMITIVES: Final[tuple[CnnPrimitive, ...]] = (
    "none",
    "skip_connect",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "avg_pool_3x3",
)
"""The operations of NAS-Bench-201 (arXiv:2001.00326), section 2.1."""

EdgeLists = Mapping[str, Sequence[Sequence[str]]]
"""The operations of each edge, by kind of cell; edges are ordered by node and then by source."""

# Besides those of searches, operations of published genotypes that no search offers.
CNN_GENOTYPE_OPERATIONS: Final[frozenset[str]] = frozenset(CNN_PRIMITIVES[1:]) | {
    "noise",
    "sep_conv_7x7",
    "conv_7x1_1x7",
}


def edges_of(nodes: int, inputs: int = 2) -> int:
    """Number of edges in a cell with `nodes` intermediate nodes: node i reads the inputs and i earlier nodes."""
    return sum(inputs + i for i in range(nodes))


Family = Literal["cnn", "rnn"]

RnnPrimitive = Literal["none", "tanh", "relu", "sigmoid", "identity"]
RNN_PRIMITIVES: Final[tuple[RnnPrimitive, ...]] = get_args(RnnPrimitive)

RnnSpace = Literal["rnn", "rnn_space1"]
RNN_SPACES: Final[dict[RnnSpace, tuple[RnnPrimitive, ...]]] = {
    "rnn": RNN_PRIMITIVES,
    "rnn_space1": tuple(p for p in RNN_PRIMITIVES if p != "tanh"),
}


def recurrent_edges_of(nodes: int) -> int:
    """Number of edges in a recurrent cell with `nodes` nodes: node i reads the initial state and i earlier nodes."""
    return sum(1 + i for i in range(nodes))
