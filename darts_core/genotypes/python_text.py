"""Genotypes in and out of the Python text that DARTS code bases print. Imports no torch; evaluates nothing."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from darts_core.errors import GenotypeError
from darts_core.genotypes.model import FIELDS, Genotype
from darts_core.genotypes.recurrent import RecurrentGenotype


def to_python(genotype: Genotype | RecurrentGenotype) -> str:
    """One line of Python, as the DARTS authors' code reads it."""
    if isinstance(genotype, RecurrentGenotype):
        return f"Genotype(recurrent={_pairs(genotype.recurrent)}, concat={list(genotype.concat)})"
    normal = f"normal={_pairs(genotype.normal)}, normal_concat={list(genotype.normal_concat)}"
    return f"Genotype({normal}, reduce={_pairs(genotype.reduce)}, reduce_concat={list(genotype.reduce_concat)})"


def _pairs(edges: tuple[tuple[str, int], ...]) -> str:
    return f"[{', '.join(f'({op!r}, {source})' for op, source in edges)}]"


def fields_of_python(text: str, fields: Sequence[str] = FIELDS) -> dict[str, Any]:
    """The fields of a text `Genotype(...)`, not yet checked: those named, in this order. Raises GenotypeError.

    Read by its syntax tree: literals, `list(...)` and `range(a, b)` only.
    """
    # A line out of a log or a module often starts with `NAME = ` or a time stamp.
    text = text[text.index("Genotype") :]
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise GenotypeError(f"this is not Python text of a genotype: {error}") from error
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or len(call.args) > len(fields):
        raise GenotypeError(f"expected one call, Genotype({'=..., '.join(fields)}=...)")
    named: dict[str, Any] = {f: _literal(f, a) for f, a in zip(fields, call.args, strict=False)}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg not in fields:
            raise GenotypeError(f"unknown field {keyword.arg!r}; allowed: {', '.join(fields)}")
        named[keyword.arg] = _literal(keyword.arg, keyword.value)
    return named


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
