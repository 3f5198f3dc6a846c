"""Which of the two families a request's body is of."""

from __future__ import annotations

from typing import Any

from darts_core.primitives import Family


def family_of_body(body: Any) -> Family:
    """`cnn` unless the body says `rnn`: anything else is for the fields of `cnn` to refuse, by their names."""
    family = body.get("family") if isinstance(body, dict) else getattr(body, "family", None)
    return "rnn" if family == "rnn" else "cnn"


def without_family(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A field's place as the client sees its body: without the family by which its form was chosen."""
    return loc[1:] if len(loc) > 1 and loc[0] in ("cnn", "rnn") else loc
