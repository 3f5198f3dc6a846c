"""Sparse cells: FairDARTS' own, and any as a strategy of hypothesis."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from darts_core.primitives import CNN_GENOTYPE_OPERATIONS

_OPERATIONS: Final = sorted(CNN_GENOTYPE_OPERATIONS)
_REPEATABLE: Final = [name for name in _OPERATIONS if name != "noise"]

FAIR_DARTS: Final = {
    "a": "Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_5x5', 2, 1), ('max_pool_3x3', 4, 0), "
    "('sep_conv_3x3', 5, 0)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 2, 0), ('avg_pool_3x3', 2, 1), "
    "('avg_pool_3x3', 3, 0), ('dil_conv_5x5', 3, 1), ('avg_pool_3x3', 4, 0), ('sep_conv_5x5', 4, 1), "
    "('skip_connect', 5, 0), ('skip_connect', 5, 1)], reduce_concat=range(2, 6))",
    "c": "Genotype(normal=[('max_pool_3x3', 2, 0), ('sep_conv_5x5', 2, 1), ('dil_conv_3x3', 4, 0), "
    "('dil_conv_5x5', 4, 2), ('skip_connect', 5, 3), ('sep_conv_3x3', 5, 0)], normal_concat=range(2, 6), "
    "reduce=[('dil_conv_3x3', 2, 1), ('dil_conv_5x5', 2, 0), ('dil_conv_3x3', 3, 0), ('sep_conv_3x3', 3, 1), "
    "('sep_conv_5x5', 4, 0), ('sep_conv_5x5', 4, 3), ('sep_conv_5x5', 5, 0), ('skip_connect', 5, 1)], "
    "reduce_concat=range(2, 6))",
    "d": "Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_5x5', 2, 1), ('dil_conv_3x3', 3, 1), "
    "('max_pool_3x3', 3, 0), ('dil_conv_3x3', 4, 0), ('dil_conv_3x3', 4, 1), ('sep_conv_3x3', 5, 0), "
    "('dil_conv_5x5', 5, 1)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 2, 0), ('sep_conv_5x5', 2, 1), "
    "('avg_pool_3x3', 3, 0), ('dil_conv_5x5', 3, 2), ('dil_conv_3x3', 4, 3), ('avg_pool_3x3', 4, 0), "
    "('avg_pool_3x3', 5, 0), ('skip_connect', 5, 3)], reduce_concat=range(2, 6))",
    "g": "Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_3x3', 2, 1), ('skip_connect', 4, 3), "
    "('sep_conv_5x5', 4, 1), ('dil_conv_3x3', 5, 0), ('sep_conv_3x3', 5, 1)], normal_concat=range(2, 6), "
    "reduce=[('avg_pool_3x3', 2, 1), ('skip_connect', 2, 0), ('skip_connect', 3, 2), ('max_pool_3x3', 3, 1), "
    "('sep_conv_5x5', 4, 3), ('max_pool_3x3', 4, 0), ('dil_conv_3x3', 5, 1), ('dil_conv_3x3', 5, 4)], "
    "reduce_concat=range(2, 6))",
}
"""Cells of the authors' code, as it lists them. Only d has two edges at every node; in a, c and g node 3 is empty."""


@st.composite
def sparse_cells(draw: st.DrawFn, *, repeatable: bool = False) -> tuple[list[list[Any]], list[int]]:
    """A cell of 1 to 6 nodes that keep 0 to 2 edges each; the output concatenates at least one that reads an input.

    repeatable: without noise, so that two passes of its network give the same numbers.
    """
    operations = st.sampled_from(_REPEATABLE if repeatable else _OPERATIONS)
    nodes = range(2, 2 + draw(st.integers(1, 6)))
    concat = draw(st.lists(st.sampled_from(nodes), min_size=1, unique=True))
    edges: list[list[Any]] = []
    for node in nodes:
        sources = draw(st.lists(st.integers(0, node - 1), max_size=2))
        if node == concat[0]:
            sources = [draw(st.integers(0, 1)), *sources][:2]
        edges += [[draw(operations), node, source] for source in sources]
    return edges, concat
