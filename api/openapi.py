"""The OpenAPI document, with the one thing that FastAPI cannot know: every error here is a problem document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from api.problems import Problem

_TEMPLATE = "#/components/schemas/{model}"


def install(app: FastAPI) -> None:
    """Add the problem's schema, which the routes' answers refer to, in place of FastAPI's own error models."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            schemas = document["components"]["schemas"]
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            _, own = models_json_schema([(Problem, "serialization")], ref_template=_TEMPLATE)
            schemas.update(own["$defs"])
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]
