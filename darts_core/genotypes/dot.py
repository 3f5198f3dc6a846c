"""Genotypes as DOT, Graphviz's language. Imports no torch."""

from __future__ import annotations

from typing import Literal

from darts_core.genotypes.model import Edge, Genotype

_INPUTS = ("c_{k-2}", "c_{k-1}")


def to_dot(genotype: Genotype, cell: Literal["normal", "reduce"] | None = None) -> str:
    """One digraph with both cells as clusters, or with one of them alone. Operations by their full names."""
    cells = {
        "normal": (genotype.normal, genotype.normal_concat),
        "reduce": (genotype.reduce, genotype.reduce_concat),
    }
    shown = cells if cell is None else {cell: cells[cell]}
    lines = [
        f"digraph {cell or 'genotype'} {{",
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled", fillcolor="#eef2f7", fontname="Helvetica"];',
        '  edge [fontname="Helvetica", fontsize=10];',
    ]
    for name, (edges, concat) in shown.items():
        lines += [f"  subgraph cluster_{name} {{", f'    label="{name} cell";', *_body(name, edges, concat), "  }"]
    return "\n".join([*lines, "}"]) + "\n"


def _body(cell: str, edges: tuple[Edge, ...], concat: tuple[int, ...]) -> list[str]:
    states = 2 + len(edges) // 2
    labels = [*_INPUTS, *(str(state) for state in range(2, states))]
    lines = [f'    {cell}_{state} [label="{label}"];' for state, label in enumerate(labels)]
    lines.append(f'    {cell}_out [label="c_{{k}}"];')
    lines += [f'    {cell}_{e.source} -> {cell}_{2 + i // 2} [label="{e.op}"];' for i, e in enumerate(edges)]
    # The concatenation is no operation: dashed, and without a label.
    lines += [f"    {cell}_{node} -> {cell}_out [style=dashed];" for node in concat]
    return lines
