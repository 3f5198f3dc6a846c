"""Defines the field type of a candidate operation's name. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from darts_core.operation_plugins import added_operations
from darts_core.primitives import OPERATIONS


def _known_operation(name: str) -> str:
    known = (*OPERATIONS, *added_operations())
    if name not in known:
        raise ValueError(f"unknown operation; known: {', '.join(known)}")
    return name


PrimitiveName = Annotated[
    str,
    AfterValidator(_known_operation),
    WithJsonSchema({"type": "string", "enum": [*OPERATIONS, *added_operations()]}),
]
"""An operation of Dartboard, or one that an installed package adds."""
