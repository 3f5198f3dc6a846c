"""Reads genotypes from NNI exports. Imports no torch.

Version 3 names slots: `normal/op_2_0` is the operation of node 2's first edge, `normal/input_2_0` the state that this
edge reads. Earlier versions name edges as mmrazor does: `normal_n2_p0` is the operation of the edge from state 0 into
node 2, [] where the edge is dropped, and `normal_n2_switch` lists the two kept edges.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from typing import Any, Final

from darts_core.errors import GenotypeError
from darts_core.genotypes.entries import MOST_NODES
from darts_core.genotypes.model import Genotype
from darts_core.genotypes.operation_names import NNI

_SLOT: Final = re.compile(r"(normal|reduce)/(?:op|input)_(\d{1,2})_[01]")
_SWITCH: Final = re.compile(r"(normal|reduce)_n(\d{1,2})_switch")
_OPERATIONS: Final = tuple(NNI.values())


def is_nni(value: Mapping[Any, Any]) -> bool:
    """Whether a decoded object has keys of an NNI export."""
    return any(_matched(key) for key in value)


def from_nni(value: Mapping[Any, Any]) -> Genotype:
    """Parse either form. Other keys, such as `width` and `depth`, are ignored.

    Raises GenotypeError that names the bad key.
    """
    last = dict.fromkeys(("normal", "reduce"), 2)
    for key in value:
        if match := _matched(key):
            last[match[1]] = max(last[match[1]], int(match[2]))
    if max(last.values()) > 1 + MOST_NODES:
        raise GenotypeError(f"a cell's nodes are numbered from 2 to {1 + MOST_NODES} at most, not {max(last.values())}")
    read = _edges_by_slot if any(isinstance(key, str) and _SLOT.fullmatch(key) for key in value) else _edges_by_switch
    cells = {
        cell: [edge for node in range(2, nodes + 1) for edge in read(cell, node, value)] for cell, nodes in last.items()
    }
    concats = {cell: list(range(2, nodes + 1)) for cell, nodes in last.items()}
    return Genotype.of(cells["normal"], concats["normal"], cells["reduce"], concats["reduce"])


def _matched(key: Any) -> re.Match[str] | None:
    return (_SLOT.fullmatch(key) or _SWITCH.fullmatch(key)) if isinstance(key, str) else None


def _edges_by_slot(cell: str, node: int, value: Mapping[Any, Any]) -> list[list[Any]]:
    edges = []
    for slot in (0, 1):
        source = _of(f"{cell}/input_{node}_{slot}", value)
        if isinstance(source, list) and len(source) == 1:
            [source] = source
        if type(source) is not int:
            raise GenotypeError(f"{cell}/input_{node}_{slot}: expected one state, got {reprlib.repr(source)}")
        edges.append([_operation(f"{cell}/op_{node}_{slot}", value), source])
    return edges


def _edges_by_switch(cell: str, node: int, value: Mapping[Any, Any]) -> list[list[Any]]:
    key = f"{cell}_n{node}_switch"
    names = {f"{cell}_n{node}_p{source}": source for source in range(node)}
    chosen = _of(key, value)
    sources = [names.get(c, c) if isinstance(c, str) else c for c in chosen] if isinstance(chosen, list) else []
    if len(sources) != 2 or any(source not in range(node) for source in sources):
        raise GenotypeError(f"{key}: expected two of {', '.join(names)}, got {reprlib.repr(chosen)}")
    return [[_operation(f"{cell}_n{node}_p{source}", value), source] for source in sources]


def _operation(key: str, value: Mapping[Any, Any]) -> str:
    """Resolve an operation given by name, by its number in NNI's list, or as a one-hot list of booleans."""
    given = _of(key, value)
    if isinstance(given, list) and sum(choice is True for choice in given) == 1:
        given = given.index(True)
    if type(given) is int and 0 <= given < len(_OPERATIONS):
        return _OPERATIONS[given]
    if not isinstance(given, str):
        raise GenotypeError(f"{key}: {reprlib.repr(given)} is not the name of an operation")
    return given


def _of(key: str, value: Mapping[Any, Any]) -> Any:
    if key not in value:
        raise GenotypeError(f"{key}: missing")
    return value[key]
