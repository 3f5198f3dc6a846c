"""`dartboard genotype`: the cell of a search, a known one, or one from a file, in any format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer
from pydantic import BaseModel

from client.options import DEFAULT_URL, Json, Key, Url

if TYPE_CHECKING:
    from api.schemas.genotypes import AnyGenotypeOut
    from darts_core.genotypes import AnyGenotype
    from darts_core.primitives import Family

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
    """Print a cell: the one that a search stands at, a known or registered one, or a file's."""
    from client.output import print_json

    if json and format_ not in (None, "json"):
        raise typer.BadParameter(f"--json and --format {format_} exclude each other")
    chosen: Format = "json" if json else format_ or "python"
    found = _find(source, epoch, family, url, key)
    # The service's JSON says more: what its network costs, a search's epoch and primitives.
    if chosen == "json" and isinstance(found, BaseModel):
        print_json(found)
    else:
        _write(_cell(found), chosen)


def register(
    name: Annotated[str, typer.Argument(help="Letters, digits, '_', '.' and '-'.")],
    source: Annotated[str, typer.Argument(metavar="ID|NAME|FILE", help="What the name shall stand for.")],
    epoch: Annotated[int | None, typer.Option(help="Of a search; the latest unless given.")] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Give a genotype a name at the service, for evaluations to take."""
    from client.output import print_json
    from client.sdk import Dartboard
    from darts_core.genotypes import to_json

    cell = _cell(_find(source, epoch, "cnn", url, key))
    with Dartboard(url, key) as dartboard:
        registered = dartboard.register_genotype(name, to_json(cell))
    print_json(registered) if json else typer.echo(f"{name} {registered.text}")


def list_genotypes(json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """The names of published and registered genotypes."""
    from client.output import print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        names = dartboard.genotypes()
    if json:
        print_json({"items": names})
        return
    for name in names:
        typer.echo(name)


def _find(source: str, epoch: int | None, family: Family, url: str, key: str | None) -> AnyGenotype | AnyGenotypeOut:
    """From here where it can be, else from the service. Raises typer.BadParameter for what neither knows."""
    from client.errors import ServiceUnreachableError
    from client.genotypes import is_unknown_name, read_genotype
    from client.sdk import Dartboard

    search_id = _id_of(source)
    if search_id is None and epoch is not None:
        raise typer.BadParameter("goes with a search's id only", param_hint="--epoch")
    if search_id is None and not is_unknown_name(source, family):
        return read_genotype(source, family)
    with Dartboard(url, key) as dartboard:
        if search_id is not None:
            return dartboard.genotype(search_id, epoch)
        try:
            return dartboard.known_genotype(source)
        except ServiceUnreachableError:
            return read_genotype(source, family)  # which says that it is not known here


def _cell(found: AnyGenotype | AnyGenotypeOut) -> AnyGenotype:
    from darts_core.genotypes import parse

    return parse(found.text, found.family) if isinstance(found, BaseModel) else found


def _id_of(source: str) -> UUID | None:
    try:
        return UUID(source)
    except ValueError:
        return None


def _write(genotype: AnyGenotype, chosen: Format) -> None:
    from darts_core.errors import GenotypeError
    from darts_core.genotypes import FORMATS

    try:
        text = FORMATS[chosen](genotype)
    except GenotypeError as error:
        raise typer.BadParameter(str(error), param_hint="--format") from error
    typer.echo(text.rstrip("\n"))
