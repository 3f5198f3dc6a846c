"""Options that every command shares."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Url = Annotated[str, typer.Option("--url", envvar="DARTBOARD_URL", help="The service.")]
Key = Annotated[str | None, typer.Option("--key", envvar="DARTBOARD_API_KEY", help="Your API key.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wide = Annotated[bool, typer.Option("--wide", help="All columns, however narrow the terminal.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any other field of the spec; may be repeated."),
]
DEFAULT_URL = "http://127.0.0.1:8000"


def fields(pairs: list[str] | None, **given: Any) -> dict[str, Any]:
    """The spec fields that the user gave. Raises typer.BadParameter for a pair that is none."""
    from client.json_input import value_of

    body = {name: value for name, value in given.items() if value is not None}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r}: expected NAME=VALUE", param_hint="--set")
        body[name] = value_of(value)
    return body
