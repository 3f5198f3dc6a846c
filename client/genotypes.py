"""Resolves genotypes named on the command line: by name, file, text, or a search's id."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload
from uuid import UUID

import typer
from pydantic import BaseModel

from darts_core.validation import did_you_mean

if TYPE_CHECKING:
    from api.schemas.genotypes import AnyGenotypeOut
    from api.schemas.jobs import JobOut
    from client.sdk import Dartboard
    from darts_core.genotypes import AnyGenotype, Genotype, RecurrentGenotype
    from darts_core.primitives import Family

_LIKE_A_NAME = re.compile(r"[\w./:~-]*")
# Suffixes of text files, as opposed to names and texts of genotypes.
_LIKE_A_FILE = re.compile(r"[^\n(){}]*(/|\.(py|txt|log|json|ya?ml)(:[\w.-]*)?$)[^\n(){}]*")
# Names begin with a letter.
_ID_PREFIX = re.compile(r"[0-9][0-9A-Fa-f-]{3,35}")
_REGISTRABLE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
# Far above any genotype: a longer file was named by mistake.
_LARGEST_FILE = 1 << 20
# Above this size only the one genotype found in a log is passed on.
_LONG_TEXT = 100_000
# Byte order marks written by some Windows programs.
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@overload
def read_genotype(source: str, family: Literal["cnn"]) -> Genotype: ...
@overload
def read_genotype(source: str, family: Literal["rnn"]) -> RecurrentGenotype: ...
@overload
def read_genotype(source: str, family: Family | None = None) -> AnyGenotype: ...
def read_genotype(source: str, family: Family | None = None) -> AnyGenotype:
    """Parse a known name, FILE or FILE:NAME in any format, or a genotype's text. Raises typer.BadParameter.

    family: by default the text's own; cnn for a name shared by both families.
    """
    from darts_core.errors import GenotypeError
    from darts_core.genotypes import parse, parse_any
    from darts_core.genotypes.nasbench201 import is_nasbench201

    text = text_of_file(source)
    in_nasbench201 = is_nasbench201(source)
    if text is None and not _is_published(source, family) and not in_nasbench201 and _LIKE_A_NAME.fullmatch(source):
        known = _published(family)
        meant = did_you_mean(source, known)
        raise typer.BadParameter(f"{source!r} is neither a file nor a known genotype{meant}; known: {', '.join(known)}")
    try:
        value = source if text is None else text
        return parse_any(value) if family is None else parse(value, family)
    except GenotypeError as error:
        raise typer.BadParameter(str(error) if text is None else f"{source}: {error}") from error


def _published(family: Family | None) -> list[str]:
    from darts_core.families import FAMILIES

    return list(dict.fromkeys(name for f in FAMILIES.values() if family in (None, f.name) for name in f.known))


def _is_published(source: str, family: Family | None) -> bool:
    return source in _published(family)


def is_unknown_name(source: str, family: Family | None = None) -> bool:
    """Whether this can only be a name registered at a service: not a published name, a file or a text."""
    if _is_published(source, family) or not _REGISTRABLE.fullmatch(source):
        return False
    return text_of_file(source) is None


def find_genotype(
    source: str,
    epoch: str | None,
    family: Family | None,
    url: str,
    key: str | None,
    *,
    rank: int | None = None,
    max_skip_connects: int | None = None,
) -> AnyGenotype | AnyGenotypeOut:
    """Resolve locally if possible, else through the service: a search's id, or a registered name.

    epoch, rank, max_skip_connects: for a search only. Raises typer.BadParameter when nothing matches.
    """
    from client.errors import ProblemError, ServiceUnreachableError
    from client.sdk import Dartboard

    search_id = id_of(source)
    of_search = {"--epoch": epoch, "--rank": rank, "--max-skip-connects": max_skip_connects}
    for option, value in of_search.items():
        if search_id is None and value is not None:
            raise typer.BadParameter("goes with a search's id only", param_hint=option)
    if search_id is None and not is_unknown_name(source, family):
        return read_genotype(source, family)
    with Dartboard(url, key) as dartboard:
        if search_id is not None:
            try:
                return dartboard.genotype(search_id, epoch, rank=rank, max_skip_connects=max_skip_connects)
            except ProblemError as error:
                if error.status == 404:
                    search_of(dartboard, search_id)
                raise
        try:
            return registered(dartboard, source, family)
        except ServiceUnreachableError:
            return read_genotype(source, family)  # this raises, since the name is unknown here


def registered(dartboard: Dartboard, name: str, family: Family | None) -> AnyGenotypeOut:
    """A genotype that the service knows. Raises ProblemError 404; a job's name is answered with its id."""
    from client.distribution import COMMAND
    from client.errors import ProblemError

    try:
        return dartboard.known_genotype(name, family)
    except ProblemError as error:
        if error.status == 404:
            ids = dartboard.ids_of_name(name) or f"{error.detail}; searches have ids, which `{COMMAND} jobs` lists"
            raise ProblemError(404, ids) from None
        raise


def uploaded(dartboard: Dartboard, file: str, genotype: str | None = None, dataset: str | None = None) -> str:
    """Upload a checkpoint and return its id. Raises ProblemError 404 for a job's name, OSError for a missing file."""
    from client.errors import ProblemError

    if not Path(file).exists() and (hint := dartboard.ids_of_name(file)):
        raise ProblemError(404, hint)
    return str(dartboard.upload_checkpoint(Path(file), genotype, dataset).id)


def search_of(dartboard: Dartboard, search_id: str) -> JobOut:
    """The search with this id. Raises typer.BadParameter for a job of another kind, with advice."""
    from api.schemas.jobs import JobKind
    from client.distribution import COMMAND

    job = dartboard.job(search_id)
    if job.kind is JobKind.SEARCH:
        return job
    its = job.links.get("search", "").rpartition("/")[2]
    if its:
        advice = f"give its search's id, {its}"
    elif "genotype" in job.spec:
        advice = f"it trained a genotype that was given: `{COMMAND} show {job.id}` has it"
    else:
        advice = "give a search's id"
    article = "an" if job.kind[0] in "ae" else "a"
    raise typer.BadParameter(f"{job.id} is {article} {job.kind}, not a search; {advice}")


def cell_of(found: AnyGenotype | AnyGenotypeOut) -> AnyGenotype:
    """Convert the result of `find_genotype` to a genotype."""
    from darts_core.genotypes import parse

    return parse(found.text, found.family) if isinstance(found, BaseModel) else found


def id_of(source: str) -> str | None:
    """A full id, or the first digits of one when no file has that name; otherwise None.

    Six digits from 0 to 4 are a cell of NAS-Bench-201; no id begins so.
    """
    from darts_core.genotypes.nasbench201 import is_nasbench201

    if is_nasbench201(source):
        return None
    try:
        return str(UUID(source))
    except ValueError:
        return source if _ID_PREFIX.fullmatch(source) and not Path(source).exists() else None


def genotype_text(source: str, parameter: str = "--genotype") -> str:
    """The content of FILE or FILE:NAME, or the name or text itself, for the service to parse.

    parameter: the argument or option that a message names. Raises typer.BadParameter for a missing or unusable file.
    """
    in_file = text_of_file(source)
    if in_file is None and _LIKE_A_FILE.fullmatch(source):
        raise typer.BadParameter(f"there is no file {source}", param_hint=parameter)
    return source if in_file is None else in_file


def text_of_file(source: str) -> str | None:
    """The text in FILE, or one genotype of FILE:NAME; None when there is no such file.

    Raises typer.BadParameter for an unusable file.
    """
    from darts_core.errors import GenotypeError
    from darts_core.genotypes import cell_in, cell_named

    try:
        if _is_file(source):
            text = _read(Path(source))
            return text if len(text) < _LONG_TEXT else cell_in(text)
        file, _, name = source.rpartition(":")
        return cell_named(_read(Path(file)), name) if _is_file(file) else None
    except GenotypeError as error:
        raise typer.BadParameter(f"{source}: {error}") from error


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # a genotype's full text is too long for a file name
        return False


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise typer.BadParameter(f"{file} is too large for a genotype")
        content = file.read_bytes()
        return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} does not hold a genotype: {error}") from error
