"""`dartboard genotype`: the cell of a search, a known one, or one from a file, in any format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer

from client.options import DEFAULT_URL, Json, Key, Url

if TYPE_CHECKING:
    from darts_core.genotypes import AnyGenotype

Format = Literal["python", "json", "mmrazor", "dot"]


def genotype(
    source: Annotated[
        str,
        typer.Argument(metavar="ID|NAME|FILE", help="Of a search; or a known one; or in any format."),
    ],
    format_: Annotated[Format | None, typer.Option("--format", help="python unless given.")] = None,
    epoch: Annotated[int | None, typer.Option(help="Of a search; the latest unless given.")] = None,
    family: Annotated[Literal["cnn", "rnn"], typer.Option(help="Of a known one, or of a file's.")] = "cnn",
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Print a cell: the one that a search stands at, a known one, or a file's."""
    from client.genotypes import read_genotype

    if json and format_ not in (None, "json"):
        raise typer.BadParameter(f"--json and --format {format_} exclude each other")
    chosen: Format = "json" if json else format_ or "python"
    try:
        search_id = UUID(source)
    except ValueError:
        if epoch is not None:
            raise typer.BadParameter("goes with a search's id only", param_hint="--epoch") from None
        _write(read_genotype(source, family), chosen)
    else:
        _write_of_search(search_id, epoch, chosen, url, key)


def _write_of_search(search_id: UUID, epoch: int | None, chosen: Format, url: str, key: str | None) -> None:
    from client.output import print_json
    from client.sdk import Dartboard
    from darts_core.genotypes import parse

    with Dartboard(url, key) as dartboard:
        found = dartboard.genotype(search_id, epoch)
    # The service's JSON says the epoch and the primitives as well.
    print_json(found) if chosen == "json" else _write(parse(found.text), chosen)


def _write(genotype: AnyGenotype, chosen: Format) -> None:
    from darts_core.errors import GenotypeError
    from darts_core.genotypes import FORMATS

    try:
        text = FORMATS[chosen](genotype)
    except GenotypeError as error:
        raise typer.BadParameter(str(error), param_hint="--format") from error
    typer.echo(text.rstrip("\n"))
