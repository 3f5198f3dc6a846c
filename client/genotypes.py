"""Genotypes that the user names on the command line: by a name, a file, in full, or by a search's id."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload
from uuid import UUID

import typer
from pydantic import BaseModel

if TYPE_CHECKING:
    from api.schemas.genotypes import AnyGenotypeOut
    from darts_core.genotypes import AnyGenotype, Genotype, RecurrentGenotype
    from darts_core.primitives import Family

_LIKE_A_NAME = re.compile(r"[\w./~-]*")
_REGISTRABLE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
# Far above any genotype: a file that is longer was named by mistake.
_LARGEST_FILE = 1 << 20


@overload
def read_genotype(source: str, family: Literal["cnn"] = "cnn") -> Genotype: ...
@overload
def read_genotype(source: str, family: Literal["rnn"]) -> RecurrentGenotype: ...
@overload
def read_genotype(source: str, family: Family) -> AnyGenotype: ...
def read_genotype(source: str, family: Family = "cnn") -> AnyGenotype:
    """A known name, a file in any of the formats, or a genotype's text. Raises typer.BadParameter."""
    from darts_core.errors import GenotypeError
    from darts_core.genotypes import known_genotypes, parse

    known = known_genotypes(family)
    if source in known:
        return known[source]
    text = text_of_file(source)
    if text is None and _LIKE_A_NAME.fullmatch(source):
        raise typer.BadParameter(f"{source!r} is neither a file nor a known genotype; known: {', '.join(known)}")
    try:
        return parse(source if text is None else text, family)
    except GenotypeError as error:
        raise typer.BadParameter(str(error) if text is None else f"{source}: {error}") from error


def is_unknown_name(source: str, family: Family = "cnn") -> bool:
    """Whether this can only be a name that a service may know: none published, no file, no text."""
    from darts_core.genotypes import known_genotypes

    if source in known_genotypes(family) or not _REGISTRABLE.fullmatch(source):
        return False
    return text_of_file(source) is None


def find_genotype(
    source: str, epoch: int | None, family: Family, url: str, key: str | None
) -> AnyGenotype | AnyGenotypeOut:
    """From here where it can be, else from the service: of a search's id, or a registered name.

    Raises typer.BadParameter for what neither knows.
    """
    from client.errors import ServiceUnreachableError
    from client.sdk import Dartboard

    search_id = id_of(source)
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


def cell_of(found: AnyGenotype | AnyGenotypeOut) -> AnyGenotype:
    """What `find_genotype` found, as a genotype."""
    from darts_core.genotypes import parse

    return parse(found.text, found.family) if isinstance(found, BaseModel) else found


def id_of(source: str) -> UUID | None:
    """The id that this is, None when it is none."""
    try:
        return UUID(source)
    except ValueError:
        return None


def genotype_text(source: str) -> str:
    """What the file of that name holds, or the name or text itself, for a service to read."""
    in_file = text_of_file(source)
    return source if in_file is None else in_file


def text_of_file(source: str) -> str | None:
    """What the file of that name holds, None when there is none. Raises typer.BadParameter for one of no use."""
    file = Path(source)
    try:
        if not file.is_file():
            return None
    except OSError:  # a genotype's text in full is too long for a file's name
        return None
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise typer.BadParameter(f"{file} is too large for a genotype")
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} holds no text of a genotype: {error}") from error
