"""`stop_when` of a search's spec: early stopping, as what it may be about and how it is said. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from darts_core.stopping import Condition


def _checked(text: str) -> str:
    Condition.parse(text)
    return text


Comparison = Annotated[str, Field(max_length=60), AfterValidator(_checked)]
CnnSign = Literal["skip_connects", "parameter_free", "alpha_entropy"]
RnnSign = Literal["identities", "alpha_entropy"]
