"""Genotypes in and out of JSON and of the Python text that DARTS code bases print. Imports no torch."""

from __future__ import annotations

import ast
import json
from typing import Any

from darts_core.errors import GenotypeError
from darts_core.genotypes.known import KNOWN
from darts_core.genotypes.model import Genotype

_FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
# A genotype of six nodes is under 1 kB of text; what is far longer is not one, and not worth parsing.
_LONGEST = 20_000


def to_json(genotype: Genotype) -> dict[str, Any]:
    """The JSON form of docs/api.md, with the Python text beside it under `text`."""
    return {
        "family": "cnn",
        "normal": [list(e) for e in genotype.normal],
        "normal_concat": list(genotype.normal_concat),
        "reduce": [list(e) for e in genotype.reduce],
        "reduce_concat": list(genotype.reduce_concat),
        "text": to_python(genotype),
    }


def to_python(genotype: Genotype) -> str:
    """One line of Python, as the DARTS authors' code reads it."""

    def cell(name: str, edges: tuple[tuple[str, int], ...], concat: tuple[int, ...]) -> str:
        pairs = ", ".join(f"({op!r}, {source})" for op, source in edges)
        return f"{name}=[{pairs}], {name}_concat={list(concat)}"

    normal = cell("normal", genotype.normal, genotype.normal_concat)
    return f"Genotype({normal}, {cell('reduce', genotype.reduce, genotype.reduce_concat)})"


def parse(value: str | dict[str, Any]) -> Genotype:
    """Read a known name, JSON (text or already decoded) or Python text. Raises GenotypeError."""
    if isinstance(value, dict):
        return _from_mapping(value)
    text = value.strip()
    if text in KNOWN:
        return KNOWN[text]
    if len(text) > _LONGEST:
        raise GenotypeError(f"a genotype has at most {_LONGEST:,} characters, this has {len(text):,}")
    if text.startswith("{"):
        try:
            return _from_mapping(json.loads(text))
        except (json.JSONDecodeError, RecursionError) as error:
            raise GenotypeError(f"this is not JSON: {error}") from error
    if "Genotype" in text:
        return _from_python(text)
    raise GenotypeError(
        f"{text[:60]!r} is neither a known name ({', '.join(KNOWN)}) nor JSON nor a text `Genotype(normal=...)`"
    )


def _from_mapping(value: Any) -> Genotype:
    if not isinstance(value, dict):
        raise GenotypeError(f"expected an object with {', '.join(_FIELDS)}, got {type(value).__name__}")
    if missing := [f for f in _FIELDS if f not in value]:
        raise GenotypeError(f"missing: {', '.join(missing)}")
    return Genotype.of(*(value[f] for f in _FIELDS))


def _from_python(text: str) -> Genotype:
    """Read the call expression by its syntax tree: literals and `range(a, b)` only, nothing is evaluated."""
    # A line out of a log or a module often starts with `NAME = ` or a time stamp.
    text = text[text.index("Genotype") :]
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise GenotypeError(f"this is not Python text of a genotype: {error}") from error
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or len(call.args) > len(_FIELDS):
        raise GenotypeError("expected one call, Genotype(normal=..., normal_concat=..., reduce=..., reduce_concat=...)")
    named: dict[str, Any] = {f: _literal(f, a) for f, a in zip(_FIELDS, call.args, strict=False)}
    for keyword in call.keywords:
        if keyword.arg not in _FIELDS:
            raise GenotypeError(f"unknown field {keyword.arg!r}; allowed: {', '.join(_FIELDS)}")
        named[keyword.arg] = _literal(keyword.arg, keyword.value)
    return _from_mapping(named)


def _literal(field: str, node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id="range"), args=[ast.Constant(int(a)), ast.Constant(int(b))], keywords=[]):
            if not 0 <= b - a <= 64:
                raise GenotypeError(f"{field}: range({a}, {b}) is not a list of nodes")
            return list(range(a, b))
        case ast.Call(func=ast.Name(id="list"), args=[inner], keywords=[]):
            return _literal(field, inner)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError) as error:
        raise GenotypeError(
            f"{field}: only lists, pairs, names and numbers are read, got {ast.unparse(node)}"
        ) from error
