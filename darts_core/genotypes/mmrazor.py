"""Reads and writes genotypes as mmrazor subnet YAML. Imports no torch.

A subnet names the kept edges of each node (`normal_n2: {chosen: [normal_n2_p0, normal_n2_p1]}`) and the operation of
each edge (`normal_n2_p0: {chosen: [sep_conv_3x3]}`). Some files also give operations of edges that no node keeps. The
output always concatenates all nodes: the format cannot express anything else.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from typing import Any, Final

import yaml

from darts_core.errors import GenotypeError
from darts_core.genotypes.edges import Edge
from darts_core.genotypes.entries import MOST_NODES
from darts_core.genotypes.model import CNN_CELLS, Genotype
from darts_core.primitives import CNN_GENOTYPE_OPERATIONS

# A node's key; with the last part, the key of an edge and its source state.
_KEY = re.compile(r"(normal|reduce)_n(\d{1,2})(?:_p(\d{1,2}))?")
# A subnet key at the start of a line, bare or quoted.
_FIRST_SIGHT = re.compile(r"""^['"]?(normal|reduce)_n\d+(_p\d+)?['"]?\s*:""", re.MULTILINE)

# A mapping of keys to mappings to lists of names has 4 levels; slightly deeper input is refused by its entry's name.
_DEEPEST: Final = 6
# Two cells of 12 nodes with every edge named have fewer than this.
_MOST_VALUES: Final = 1500
# PyYAML reads a thousand characters ahead before it reports the level.
_TOO_DEEP: Final = re.compile(rf"(?:[\[{{]\s*){{{_DEEPEST + 1}}}")

_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother = 2, 60, 60


def to_mmrazor(genotype: Genotype) -> str:
    """Write the subnet as YAML. Raises GenotypeError when the format cannot express the genotype.

    That is an output which omits nodes, a node that reads the same state twice, or one that keeps less than two edges.
    """
    lines: list[str] = []
    for cell, concat in zip(CNN_CELLS, (genotype.normal_concat, genotype.reduce_concat), strict=True):
        nodes = genotype.nodes(cell)
        everything = tuple(range(2, 2 + len(nodes)))
        if concat != everything:
            raise GenotypeError(
                f"{cell}_concat: mmrazor's subnets concatenate all nodes, {list(everything)}, not {list(concat)}"
            )
        for node, kept in zip(everything, nodes, strict=True):
            first = 2 * (node - 2)
            if len(kept) < 2:
                raise GenotypeError(
                    f"{cell}: node {node} keeps {len(kept)} of the two edges that mmrazor's subnets give each node; "
                    "write a sparse cell as python, json or dot"
                )
            if kept[0].source == kept[1].source:
                raise GenotypeError(
                    f"{cell}[{first + 1}]: node {node} reads state {kept[0].source} twice; "
                    "an edge of mmrazor's subnets has one operation"
                )
            lines += [f"{cell}_n{node}:", "  chosen:", *(f"  - {cell}_n{node}_p{source}" for _, source in kept)]
            for op, source in sorted(kept, key=lambda edge: edge.source):
                lines += [f"{cell}_n{node}_p{source}:", "  chosen:", f"  - {op}"]
    return "\n".join(lines) + "\n"


def from_mmrazor(text: str) -> Genotype:
    """Parse subnet YAML. Raises GenotypeError that names the bad key."""
    if _TOO_DEEP.search(text):
        raise GenotypeError(f"this is not the YAML of a subnet, which is nested {_DEEPEST} levels deep at most")
    try:
        subnet = yaml.load(text, Loader=_Loader)  # noqa: S506 - safer than the safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise GenotypeError(f"this is not the YAML of a subnet: {error}") from error
    if not isinstance(subnet, dict):
        raise GenotypeError(f"a subnet maps nodes and edges to what is chosen, got {type(subnet).__name__}")
    return from_mmrazor_mapping(subnet)


def from_mmrazor_mapping(subnet: Mapping[Any, Any]) -> Genotype:
    """Parse a decoded subnet. Keeps the order in which a node names its edges."""
    nodes: dict[str, int] = dict.fromkeys(CNN_CELLS, 2)
    for key in subnet:
        match = _match(key)
        if match is None:
            raise GenotypeError(f"{_short.repr(key)}: a subnet has keys like normal_n2 and normal_n2_p0 only")
        cell, node = match[1], int(match[2])
        if not 2 <= node < 2 + MOST_NODES:
            raise GenotypeError(f"{key}: a cell's nodes are numbered from 2 to {1 + MOST_NODES} at most")
        nodes[cell] = max(nodes[cell], node)
    (normal, normal_concat), (reduce, reduce_concat) = (_cell(cell, last, subnet) for cell, last in nodes.items())
    return Genotype(normal, normal_concat, reduce, reduce_concat)


def is_mmrazor(text: str) -> bool:
    """Whether a text has keys of a subnet."""
    return _FIRST_SIGHT.search(text) is not None


def is_mmrazor_mapping(value: Mapping[Any, Any]) -> bool:
    """Whether a decoded object has keys of a subnet."""
    return any(_match(key) for key in value)


def _match(key: Any) -> re.Match[str] | None:
    return _KEY.fullmatch(key) if isinstance(key, str) else None


def _cell(cell: str, last: int, subnet: Mapping[str, Any]) -> tuple[tuple[Edge, ...], tuple[int, ...]]:
    edges: list[Edge] = []
    for node in range(2, last + 1):
        key = f"{cell}_n{node}"
        chosen = _chosen(key, subnet)
        if len(chosen) != 2 or chosen[0] == chosen[1]:
            raise GenotypeError(f"{key}: expected two different edges, got {_short.repr(chosen)}")
        edges += [_edge(key, node, edge, subnet) for edge in chosen]
    return tuple(edges), tuple(range(2, last + 1))


def _edge(key: str, node: int, edge: str, subnet: Mapping[str, Any]) -> Edge:
    sources = {f"{key}_p{source}": source for source in range(node)}
    if edge not in sources:
        raise GenotypeError(f"{key}: node {node} can only choose {', '.join(sources)}, not {_short.repr(edge)}")
    operations = _chosen(edge, subnet)
    if len(operations) != 1 or operations[0] not in CNN_GENOTYPE_OPERATIONS:
        allowed = ", ".join(sorted(CNN_GENOTYPE_OPERATIONS))
        raise GenotypeError(f"{edge}: expected one operation of {allowed}; got {_short.repr(operations)}")
    return Edge(operations[0], sources[edge])


def _chosen(key: str, subnet: Mapping[str, Any]) -> list[str]:
    if key not in subnet:
        raise GenotypeError(f"{key}: missing")
    entry = subnet[key]
    chosen = entry.get("chosen") if isinstance(entry, dict) else None
    if isinstance(chosen, str):  # newer exports write a single choice without the list
        chosen = [chosen]
    if not isinstance(chosen, list) or not all(isinstance(name, str) for name in chosen):
        raise GenotypeError(f"{key}: expected chosen: [name, ...], got {_short.repr(entry)}")
    return chosen


class _Loader(yaml.BaseLoader):
    """Builds only strings, lists and dictionaries, whatever the tags; the safe loader would build dates and more.

    Also refuses duplicate keys (PyYAML takes the last), aliases, and more levels or values than a subnet has. PyYAML's
    time grows with the square of the depth, so both are counted while parsing.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("a subnet has no anchors and aliases")
        self._depth, self._nodes = self._depth + 1, self._nodes + 1
        if self._depth > _DEEPEST:
            raise yaml.YAMLError(f"a subnet is nested {_DEEPEST} levels deep at most")
        if self._nodes > _MOST_VALUES:
            raise yaml.YAMLError(f"a subnet has at most {_MOST_VALUES:,} keys and values")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.YAMLError(f"line {key.start_mark.line + 1}: {key.value} occurs twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)
