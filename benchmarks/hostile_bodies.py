"""Generates the worst bodies that each route's schema allows, from the service's OpenAPI document."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_NOBODY: Final = "00000000-0000-4000-8000-000000000000"
_PATH_VALUES: Final = {"name": "x.pt", "cell": "normal", "checksum": "0" * 64}
_DEEPEST: Final = 6
# Bodies have the size limit of workers, or nearly the maximum number of values of users or workers.
_BYTES: Final = 4 * 2**20 - 1000
_VALUES: Final = 3_900
_REPORTED: Final = 28_000
_Path = tuple[str, ...]


@dataclass(frozen=True)
class Hostile:
    """One request. `what` describes its body."""

    method: str
    route: str
    url: str
    what: str
    content_type: str
    body: bytes


def hostile_bodies(document: dict[str, Any]) -> Iterator[Hostile]:
    """For every operation with a body: lists and maps of bad values, unknown fields, deep nesting, long texts."""
    for route, operations in document["paths"].items():
        url = route
        for name in _names_in(route):
            url = url.replace(f"{{{name}}}", _PATH_VALUES.get(name, _NOBODY))
        for method, operation in operations.items():
            for content_type, content in operation.get("requestBody", {}).get("content", {}).items():
                made = (
                    _json_bodies(
                        content["schema"], document["components"]["schemas"], worker=route.startswith("/worker")
                    )
                    if content_type == "application/json"
                    else _form_bodies(route)
                )
                for what, type_, body in made:
                    yield Hostile(method.upper(), route, url, what, type_, body)


def _names_in(route: str) -> list[str]:
    return [part[1:-1] for part in route.split("/") if part.startswith("{")]


def _json_bodies(schema: dict[str, Any], schemas: dict[str, Any], *, worker: bool) -> Iterator[tuple[str, str, bytes]]:
    places = list(dict.fromkeys(_places(schema, schemas, ())))
    sizes = {"4 MB": _BYTES // 12, "4k": _VALUES} | ({"28k": _REPORTED} if worker else {})
    for size, count in sizes.items():
        items, fields = '"x",' * count, "".join(f'"k{i}":1,' for i in range(count))
        for path, kind in (((), "object"), *places):
            if kind == "array":
                yield f"{size} of bad items in {_dotted(path)}", "application/json", _within(path, f"[{items[:-1]}]")
            elif kind in ("map", "object"):
                content = "{" + fields[:-1] + "}"
                yield f"{size} of unknown fields in {_dotted(path)}", "application/json", _within(path, content)
    yield "4 MB of open brackets", "application/json", b"[" * _BYTES
    yield "a number of 4 MB", "application/json", b'{"epochs":' + b"9" * _BYTES + b"}"
    for path, kind in places:
        if kind == "string":
            yield f"900 kB of text in {_dotted(path)}", "application/json", _within(path, json.dumps("a" * 900_000))
    for path in [path for path, _ in places if path[-1:] == ("genotype",)]:
        for name, text in _genotype_texts().items():
            yield f"{name} in {_dotted(path)}", "application/json", _within(path, json.dumps(text))


def _genotype_texts() -> dict[str, str]:
    return {
        "nested YAML": "normal_n2: " + "{a: " * 4_900,
        "open YAML": "normal_n2: " + "[" * 19_900,
        "wide YAML": "normal_n2: [" + "a," * 9_900 + "]",
        "nested Python": "Genotype(normal=" + "[" * 19_900,
        "many calls": "Genotype(normal=1)\n" * 6_000,
    }


def _form_bodies(route: str) -> Iterator[tuple[str, str, bytes]]:
    if route == "/checkpoints":
        yield (
            "a file of 30 MB of nested pickle",
            *_form("x.pt", _zip({"archive/data.pkl": b"\x80\x02" + b"]" * 30_000_000})),
        )
        yield "a file of 30,000 entries", *_form("x.pt", _zip({f"archive/{i}": b"" for i in range(30_000)}))
    elif route == "/datasets":
        yield "an archive of 30,000 files", *_form("x.zip", _zip({f"a/{i}.png": b"" for i in range(30_000)}))
    yield "a form with an endless header", *_form("x" * 2_000_000, b"")


def _form(filename: str, content: bytes) -> tuple[str, bytes]:
    head = '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nhostile\r\n' if filename.endswith("zip") else ""
    head += f'--b\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
    return "multipart/form-data; boundary=b", head.encode() + content + b"\r\n--b--\r\n"


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _places(schema: dict[str, Any], schemas: dict[str, Any], path: _Path) -> Iterator[tuple[_Path, str]]:
    """Every list, map, object and text in a schema, with its path of fields."""
    if len(path) > _DEEPEST:
        return
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for keyword in ("anyOf", "oneOf", "allOf"):
        for member in schema.get(keyword, []):
            yield from _places(member, schemas, path)
    kind = schema.get("type")
    if path and kind in ("array", "string"):
        yield path, kind
    if kind == "object":
        if path:
            yield path, "map" if schema.get("additionalProperties") else "object"
        for name, field in schema.get("properties", {}).items():
            yield from _places(field, schemas, (*path, name))
    if kind == "array" and "items" in schema:
        yield from _places(schema["items"], schemas, (*path, "0"))


def _within(path: _Path, content: str) -> bytes:
    """Put the content at this path of an otherwise empty body."""
    for name in reversed(path):
        content = f"[{content}]" if name == "0" else f"{{{json.dumps(name)}:{content}}}"
    return content.encode()


def _dotted(path: _Path) -> str:
    return ".".join(path) or "the body"
