"""Parses the fields of a `Genotype(...)` call without evaluating anything. Imports no torch."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any, Final

from darts_core.errors import GenotypeError
from darts_core.genotypes.model import FIELDS

_LONGEST_RANGE: Final = 64
# Calls that only wrap a list or number, from any module.
_WRAPPERS: Final = frozenset({"list", "tuple", "array", "asarray", "tensor", "int", "float", "str", "str_"})
_NUMBER: Final = re.compile(r"u?int\d+|float\d+")


def fields_of_python(call: str, fields: Sequence[str] = FIELDS) -> dict[str, Any]:
    """Return the unvalidated values of the given fields of one call, in this order. Raises GenotypeError.

    Accepts literals, `range`, and wrapping calls such as `tuple(...)` and `np.int64(...)`. Other fields may be present
    when their value is None.
    """
    try:
        tree = ast.parse(call, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise GenotypeError(f"this is not Python text of a genotype: {error}") from error
    if not isinstance(tree, ast.Call) or len(tree.args) > len(fields):
        raise GenotypeError(f"expected one call, Genotype({'=..., '.join(fields)}=...)")
    named: dict[str, Any] = {f: _value(f, a) for f, a in zip(fields, tree.args, strict=False)}
    for keyword in tree.keywords:
        if keyword.arg is not None and keyword.arg in fields:
            named[keyword.arg] = _value(keyword.arg, keyword.value)
        elif not isinstance(keyword.value, ast.Constant) or keyword.value.value is not None:
            raise GenotypeError(f"unknown field {keyword.arg!r}; allowed: {', '.join(fields)}")
    return named


def positional(call: str) -> int:
    """Number of positional arguments of a call; 0 for anything else."""
    try:
        tree = ast.parse(call, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
    return len(tree.args) if isinstance(tree, ast.Call) else 0


def _value(field: str, node: ast.expr) -> Any:
    try:
        return _evaluated(field, node)
    except (ValueError, TypeError, RecursionError) as error:
        raise GenotypeError(
            f"{field}: only lists, pairs, names and numbers are read, got {ast.unparse(node)}"
        ) from error


def _evaluated(field: str, node: ast.expr) -> Any:
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_evaluated(field, item) for item in items]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[inner, *_]) if _wraps(name):
            return _evaluated(field, inner)
        case ast.Call(func=ast.Name(id="range") | ast.Attribute(attr="arange"), args=bounds, keywords=[]):
            return _range(field, [_evaluated(field, bound) for bound in bounds])
    return ast.literal_eval(node)


def _wraps(name: str) -> bool:
    return name in _WRAPPERS or _NUMBER.fullmatch(name) is not None


def _range(field: str, bounds: list[Any]) -> list[int]:
    nodes = range(*bounds)
    if len(nodes) > _LONGEST_RANGE:
        raise GenotypeError(f"{field}: range({', '.join(map(str, bounds))}) is not a list of nodes")
    return list(nodes)
