"""Defines the schemas of predictions."""

from __future__ import annotations

import base64
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.jobs import JobFrame, Number, Text
from api.schemas.models import LATEST, ModelName, WhichVersion
from darts_core.configs.prediction import MOST_SHOWN, MOST_WORDS

# Base64 of some 700 kB: a body has at most a megabyte.
_LONGEST_IMAGE = 950_000
_LONGEST_TEXT = 20_000


def _is_base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"is not base64: {error}") from error
    return text


_Image = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_IMAGE), AfterValidator(_is_base64)]
_Prompt = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=_LONGEST_TEXT)]


class PredictionCreate(JobFrame):
    """Request to try a model on one image, or to continue one text."""

    model: ModelName
    version: WhichVersion = Field(LATEST, description="a version's number, its stage, or `latest`")
    image: _Image | None = Field(None, description="base64 of an image file, of at most 700 kB; for a model of images")
    text: _Prompt | None = Field(None, description="words with spaces between them; for a language model")
    top: int = Field(5, ge=1, le=MOST_SHOWN, description="how many classes or next words are told")
    words: int = Field(20, ge=1, le=MOST_WORDS, description="of a text: length of its likeliest continuation")


class Candidate(BaseModel):
    """A class, or a next word, with its probability."""

    model_config = ConfigDict(extra="forbid")

    label: Text
    probability: Number = Field(ge=0, le=1)


class PredictionResult(BaseModel):
    """The most probable classes, or next words, first. continuation: word by word the likeliest one, of a text."""

    model_config = ConfigDict(extra="forbid")

    candidates: list[Candidate] = Field(max_length=MOST_SHOWN)
    continuation: Text | None = Field(None, max_length=100_000)
    unknown: list[Text] = Field(
        default_factory=list, max_length=100, description="words of the text that are not in the vocabulary"
    )
