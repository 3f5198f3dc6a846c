"""Adds problem responses, security schemes and roles to FastAPI's OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from api.auth.permissions import SAFE_METHODS, rule_for
from api.auth.sessions import COOKIE
from api.http.problems import Problem, documented
from api.kinds import KINDS
from api.schemas.keys import Role

_TEMPLATE = "#/components/schemas/{model}"
_METHODS: Final = frozenset({"get", "head", "post", "put", "patch", "delete"})
_SCHEMES: Final[dict[str, dict[str, str]]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key; for worker routes, the worker key"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "set by POST /session"},
}


def install(app: FastAPI) -> None:
    """Replace `app.openapi` with a version that adds problems and permissions."""
    generate = app.openapi
    required: bool = app.state.settings.require_keys

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            schemas = document["components"]["schemas"]
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            _, own = models_json_schema([(Problem, "serialization")], ref_template=_TEMPLATE)
            schemas.update(own["$defs"])
            results = [(kind.name, "validation", kind.results) for kind in KINDS.values() if kind.result is not None]
            _, found = TypeAdapter.json_schemas(results, ref_template=_TEMPLATE)  # type: ignore[arg-type]
            schemas.update(found["$defs"])
            document["components"]["securitySchemes"] = _SCHEMES
            for path, operations in document["paths"].items():
                for method in _METHODS & operations.keys():
                    _add_access(operations[method], method.upper(), path, required)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _add_access(operation: dict[str, Any], method: str, path: str, required: bool) -> None:
    """Add the operation's security requirements and the responses of a refusal."""
    role = rule_for(method, path).role
    # Without keys, only cross-site requests get 403.
    answers = {403} if role is None else {401, 403, 503}
    if role is None:
        operation["security"] = []
    elif role is Role.WORKER:
        operation["security"] = [{"bearer": []}, {"header": []}]
    else:
        # An empty entry means no credentials: without keys, any local client may call the route.
        operation["security"] = [*({name: []} for name in _SCHEMES), *([] if required else [{}])]
        answers.add(429)
    if "requestBody" in operation and method not in SAFE_METHODS:
        answers |= {400, 413}
    for status, answer in documented(*sorted(answers)).items():
        operation["responses"].setdefault(str(status), answer)
    if role is not None:
        operation["description"] = f"{operation.get('description', '')}\n\nRole: {role}.".strip()
