"""Renders a genotype as a response in the requested format."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Header, Query, Response
from fastapi.responses import PlainTextResponse

from api.http.problems import ProblemError
from api.pictures.responses import SVG
from api.schemas.genotypes import AnyGenotypeOut, genotype_model
from darts_core.errors import GenotypeError
from darts_core.genotypes import FORMATS, AnyGenotype, Genotype, NasBench201Genotype, RecurrentGenotype, to_json
from darts_core.profile import LanguageShape, Shape, profile, profile_language_model

TextFormat = Literal["json", "python", "mmrazor", "dot"]
Format = TextFormat | Literal["svg"]
_MEDIA_TYPES: Final[dict[Format, str]] = {
    "json": "application/json",
    "python": "text/x-python",
    "mmrazor": "application/yaml",
    "dot": "text/vnd.graphviz",
    "svg": SVG,
}
TEXT_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {media: {"schema": {"type": "string"}} for f, media in _MEDIA_TYPES.items() if f != "json"}}
}


def _wanted(
    format: Annotated[Format | None, Query(description="overrides the `Accept` header")] = None,  # noqa: A002
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Format:
    asked = [f for f, media in _MEDIA_TYPES.items() if media in accept]
    return format or (asked[0] if asked else "json")


WantedFormat = Annotated[Format, Depends(_wanted)]
_COSTS: Final = (
    "parameters",
    "parameters_with_auxiliary",
    "multiply_adds",
    "activation_bytes",
    "training_bytes",
    "cells",
)


def genotype_answer(
    genotype: AnyGenotype,
    wanted: TextFormat,
    *,
    shape: Shape | LanguageShape | None,
    epoch: int | None = None,
    primitives: list[str] | None = None,
) -> Response | AnyGenotypeOut:
    """The genotype as JSON, with the cost of its evaluation network of this shape, or as text.

    Raises ProblemError 422 if the format cannot represent it.
    """
    if wanted == "json":
        model = genotype_model(genotype)
        return model(**to_json(genotype), epoch=epoch, primitives=primitives, **costs_of(genotype, shape))
    try:
        text = FORMATS[wanted](genotype)
    except GenotypeError as error:
        raise ProblemError(422, f"{wanted}: {error}") from error
    return PlainTextResponse(text.rstrip("\n") + "\n", media_type=_MEDIA_TYPES[wanted])


def costs_of(genotype: AnyGenotype, shape: Shape | LanguageShape | None) -> dict[str, Any]:
    """What the cell's network of this shape costs; empty without a shape of its family."""
    match genotype, shape:
        case Genotype() | NasBench201Genotype(), Shape():
            found = profile(genotype, shape)
            return {name: getattr(found, name) for name in _COSTS}
        case RecurrentGenotype(), LanguageShape():
            return {**profile_language_model(genotype, shape).totals()}
    return {}
