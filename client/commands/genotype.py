"""`dartboard genotype`: prints or registers a cell of a search, a known one, or one from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import BaseModel

from client.options import DEFAULT_URL, Json, Key, Url

if TYPE_CHECKING:
    from darts_core.genotypes import AnyGenotype

Format = Literal["python", "json", "mmrazor", "dot"]
Epoch = Annotated[str | None, typer.Option(help="Epoch of a search: best, last or a number; the last by default.")]
Rank = Annotated[int | None, typer.Option(min=1, help="For a search: take the n-th strongest genotype.")]
MaxSkipConnects = Annotated[
    int | None, typer.Option(min=0, help="For a search: limit the normal cell's skip-connections.")
]
FamilyOfName = Annotated[
    Literal["cnn", "rnn"] | None,
    typer.Option(help="Family of a name shared by both; cnn by default."),
]


def genotype(
    source: Annotated[
        str,
        typer.Argument(
            metavar="ID|NAME|FILE[:NAME]", help="A search's id, a known genotype, or a file with one in any format."
        ),
    ],
    format_: Annotated[Format | None, typer.Option("--format", help="Output format; python by default.")] = None,
    epoch: Epoch = None,
    rank: Rank = None,
    max_skip_connects: MaxSkipConnects = None,
    family: FamilyOfName = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Print a search's current cell, a known or registered one, or a file's."""
    from client.genotypes import cell_of, find_genotype
    from client.output import print_json

    if json and format_ not in (None, "json"):
        raise typer.BadParameter(f"--json and --format {format_} exclude each other")
    chosen: Format = "json" if json else format_ or "python"
    found = find_genotype(source, epoch, family, url, key, rank=rank, max_skip_connects=max_skip_connects)
    # The service's JSON also has the network's cost, the search's epoch and its primitives.
    if chosen == "json" and isinstance(found, BaseModel):
        print_json(found)
    else:
        _write(cell_of(found), chosen)


def register(
    name: Annotated[str, typer.Argument(help="Name: letters, digits, '_', '.' and '-'.")],
    source: Annotated[str, typer.Argument(metavar="ID|NAME|FILE[:NAME]", help="Genotype to register.")],
    epoch: Epoch = None,
    rank: Rank = None,
    max_skip_connects: MaxSkipConnects = None,
    family: FamilyOfName = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Register a genotype at the service, under a name for evaluations."""
    from client.genotypes import cell_of, find_genotype
    from client.output import print_json, print_text
    from client.sdk import Dartboard
    from darts_core.genotypes import to_json

    cell = cell_of(find_genotype(source, epoch, family, url, key, rank=rank, max_skip_connects=max_skip_connects))
    with Dartboard(url, key) as dartboard:
        registered = dartboard.register_genotype(name, to_json(cell))
    print_json(registered) if json else print_text(f"{name} {registered.text}")


def list_genotypes(json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """List published and registered genotypes."""
    from client.output import print_json, print_text
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        names = dartboard.genotypes()
    if json:
        print_json({"items": names})
        return
    for name in names:
        print_text(name)


def _write(genotype: AnyGenotype, chosen: Format) -> None:
    from client.output import print_text
    from darts_core.errors import GenotypeError
    from darts_core.genotypes import FORMATS

    try:
        text = FORMATS[chosen](genotype)
    except GenotypeError as error:
        raise typer.BadParameter(str(error), param_hint="--format") from error
    print_text(text.rstrip("\n"))
