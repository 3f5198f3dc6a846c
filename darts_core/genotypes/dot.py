"""Writes genotypes as DOT, Graphviz's language. Imports no torch."""

from __future__ import annotations

from typing import Literal

from darts_core.genotypes.model import CNN_CELLS, CnnCell, Genotype
from darts_core.genotypes.nasbench201 import NasBench201Genotype
from darts_core.genotypes.recurrent import RecurrentGenotype
from darts_core.spaces.nasbench201 import CELL, NODES

_INPUTS = ("c_{k-2}", "c_{k-1}")


def to_dot(
    genotype: Genotype | NasBench201Genotype | RecurrentGenotype,
    cell: Literal["normal", "reduce", "recurrent", "cell"] | None = None,
) -> str:
    """One digraph with a cluster for each cell, or with the named cell alone.

    Operations have their full names. Raises KeyError for a cell that the genotype lacks.
    """
    if isinstance(genotype, NasBench201Genotype):
        return _digraph("genotype", {CELL: _nasbench201_body(genotype)}, cell)
    if isinstance(genotype, RecurrentGenotype):
        return _digraph("recurrent", {"recurrent": _recurrent_body(genotype)}, cell)
    return _digraph("genotype", {name: _body(name, genotype) for name in CNN_CELLS}, cell)


def _digraph(name: str, bodies: dict[str, list[str]], cell: str | None) -> str:
    shown = bodies if cell is None else {cell: bodies[cell]}
    lines = [
        f"digraph {cell or name} {{",
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled", fillcolor="#eef2f7", fontname="Helvetica"];',
        '  edge [fontname="Helvetica", fontsize=10];',
    ]
    for kind, body in shown.items():
        lines += [f"  subgraph cluster_{kind} {{", f'    label="{_title(kind)}";', *body, "  }"]
    return "\n".join([*lines, "}"]) + "\n"


def _title(kind: str) -> str:
    return kind if kind == CELL else f"{kind} cell"


def _body(cell: CnnCell, genotype: Genotype) -> list[str]:
    nodes = genotype.nodes(cell)
    labels = [*_INPUTS, *(str(state) for state in range(2, 2 + len(nodes)))]
    lines = [f'    {cell}_{state} [label="{label}"];' for state, label in enumerate(labels)]
    lines.append(f'    {cell}_out [label="c_{{k}}"];')
    lines += [
        f'    {cell}_{e.source} -> {cell}_{node} [label="{e.op}"];' for node, kept in enumerate(nodes, 2) for e in kept
    ]
    # Concatenation is not an operation: dashed and unlabelled. Empty nodes are not concatenated.
    lines += [f"    {cell}_{node} -> {cell}_out [style=dashed];" for node in genotype.built(cell).concat]
    return lines


def _nasbench201_body(genotype: NasBench201Genotype) -> list[str]:
    lines = [f'    cell_{node} [label="{node}"];' for node in range(NODES + 1)]
    for node, edges in enumerate(genotype.nodes(), 1):
        for op, source in edges:
            # An edge of zeros is in the cell, though nothing flows.
            style = ", style=dotted" if op == "none" else ""
            lines.append(f'    cell_{source} -> cell_{node} [label="{op}"{style}];')
    return lines


def _recurrent_body(genotype: RecurrentGenotype) -> list[str]:
    lines = ['    recurrent_x [label="x_{t}"];', '    recurrent_h [label="h_{t-1}"];']
    lines += [f'    recurrent_{state} [label="{state}"];' for state in range(1 + len(genotype.recurrent))]
    lines.append('    recurrent_out [label="h_{t}"];')
    lines += ["    recurrent_x -> recurrent_0;", "    recurrent_h -> recurrent_0;"]
    lines += [
        f'    recurrent_{e.source} -> recurrent_{1 + i} [label="{e.op}"];' for i, e in enumerate(genotype.recurrent)
    ]
    # The mean is not an operation: dashed and unlabelled.
    lines += [f"    recurrent_{node} -> recurrent_out [style=dashed];" for node in genotype.concat]
    return lines
