"""Options shared by all commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_DATA: Final = Path(".dartboard")


def _url(context: typer.Context, given: str) -> str:
    """URL of the service running on this folder's data, the default of --url."""
    source = context.get_parameter_source("url")
    if context.resilient_parsing or source is None or source.name != "DEFAULT" or not DEFAULT_DATA.exists():
        return given
    from client.local.data_directory import serving
    from client.output import remarks

    found = serving(DEFAULT_DATA) or given
    # A grouped command's name is preceded by its group's.
    if found != given and context.meta.setdefault("dartboard.url", "") != found:
        context.meta["dartboard.url"] = found
        remarks.print(f"the service of this folder is at {found}", style="dim")
    return found


Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="DARTBOARD_URL",
        callback=_url,
        help="URL of the service; by default this folder's, if one runs.",
    ),
]
Key = Annotated[str | None, typer.Option("--key", envvar="DARTBOARD_API_KEY", help="Your API key.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wide = Annotated[bool, typer.Option("--wide", help="Print all columns, however narrow the terminal.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any other field of the spec; may be repeated."),
]


def fields(pairs: list[str] | None, **given: Any) -> dict[str, Any]:
    """Parse the NAME=VALUE pairs of spec fields. Raises typer.BadParameter."""
    from client.json_input import value_of

    body = {name: value for name, value in given.items() if value is not None}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r}: expected NAME=VALUE", param_hint="--set")
        body[name] = value_of(value)
    return body
