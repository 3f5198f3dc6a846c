"""Refusals in words: names, digests, ids and lists."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import pytest
from pydantic import BaseModel, StringConstraints, ValidationError

from darts_core.validation import field_errors


class Request(BaseModel):
    pool: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")] = "default"
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,99}$")] = "x"
    checksum: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] = "0" * 64
    seeds: tuple[int, ...] = ()
    job: UUID | None = None
    fields: dict[str, int] = {}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "pool",
            "a b",
            "must be up to 40 characters: lower-case letters, digits, _, -; the first from: lower-case letters, digits",
        ),
        ("name", "1", "must be up to 100 characters: letters, digits, _, ., -; the first from: letters"),
        ("checksum", "1", "must be 64 hexadecimal digits"),
        ("seeds", "1", "must be a list"),
        ("job", "1", "must be an id, as 01a204dd-203c-7526-803f-c3ac98d05626"),
        ("fields", "1", "must be an object with named fields"),
    ],
)
def test_a_refused_value_is_told_in_words(field: str, value: str, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Request.model_validate({field: value})
    [error] = field_errors(refused.value.errors(), Request)
    assert error.msg == f'{message}; got "{value}"'
