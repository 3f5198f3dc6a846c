"""Turns pydantic's errors into ours: the field, its value, the allowed values and the nearest valid name.

Imports no torch.
"""

from __future__ import annotations

import difflib
import json
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag

# Further errors are counted, not listed.
MOST_ERRORS: Final = 50
# With more allowed names, only the nearest are listed.
_MOST_NAMES: Final = 10
_NAME, _VALUE, _MESSAGE = 100, 80, 600

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict, _SHORT.maxstring, _SHORT.maxother = 2, 4, 4, 40, 40
_SUBJECT = re.compile(r"^(?:Input|String|List|Tuple|Set|Dictionary|Data|Value|URL) should ")
_LONGER = re.compile(r"(?P<rest>.*) after validation, not (?P<found>\d+)$")
_WORDS: Final = {
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be an object with named fields"),
    **dict.fromkeys(("uuid_parsing", "uuid_type"), "must be an id, as 01a204dd-203c-7526-803f-c3ac98d05626"),
    "bool_parsing": "must be true or false",
}
_NAME_PATTERN = re.compile(r"\^\[(?P<first>[^\]]+)\]\[(?P<rest>[^\]]+)\]\{0,(?P<most>\d+)\}\$")
_DIGEST_PATTERN = re.compile(r"\^\[0-9a-f\]\{(?P<length>\d+)\}\$")


@dataclass(frozen=True)
class FieldError:
    """One invalid field. `value`, `allowed` and `nearest` are None where they do not apply."""

    loc: tuple[str | int, ...]
    msg: str
    value: str | None = None
    allowed: tuple[str, ...] | None = None
    nearest: str | None = None


def field_errors(errors: Iterable[Mapping[str, Any]], model: Any = None) -> list[FieldError]:
    """Convert the first `MOST_ERRORS` of pydantic's `errors()`; errors without `input` show no value.

    model: the validated type, a class or an annotation; with it, errors of unknown fields list the known ones.
    """
    found: list[FieldError] = []
    listed: set[tuple[str | int, ...]] = set()
    for error in islice(errors, MOST_ERRORS):
        told = _field_error(error, model)
        # List an object's fields once, however many unknown names it has.
        if error["type"] == "extra_forbidden":
            if told.loc[:-1] in listed:
                told = FieldError(told.loc, told.msg.partition("; allowed: ")[0], told.value, None, told.nearest)
            listed.add(told.loc[:-1])
        found.append(told)
    return found


def unknown_name(name: str, known: Iterable[str] | None, what: str) -> FieldError:
    """An error for an unknown field or parameter (`what`). `loc` is the name alone.

    known: the valid names; None if the caller cannot tell.
    """
    if known is None:
        return FieldError((plain(name, _NAME),), f"unknown {what}")
    allowed = tuple(known)
    nearest = nearest_of(name, allowed)
    message = f"unknown {what}{did_you_mean(name, allowed)}"
    listed = allowed if len(allowed) <= _MOST_NAMES else _nearest(name, allowed, _MOST_NAMES, 0.0)
    more = f" and {len(allowed) - len(listed)} more" if len(listed) < len(allowed) else ""
    message += f"; allowed: {', '.join(listed)}{more}" if allowed else "; none is taken here"
    return FieldError((plain(name, _NAME),), plain(message, _MESSAGE), None, allowed, nearest)


def nearest_of(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name closest to a misspelt one."""
    return next(iter(_nearest(name, allowed, 1, 0.6)), None)


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """End of a message such as `; did you mean 'digits'?`; empty when no allowed name is close."""
    nearest = nearest_of(name, allowed)
    return "" if nearest is None else f"; did you mean {nearest!r}?"


def _nearest(name: str, allowed: Iterable[str], most: int, cutoff: float) -> list[str]:
    """The closest allowed names, ignoring case."""
    by_folded = {each.casefold(): each for each in allowed}
    found = difflib.get_close_matches(name[:_NAME].casefold(), list(by_folded), n=most, cutoff=cutoff)
    return [by_folded[each] for each in found]


def plain(text: str, most: int) -> str:
    """Cut untrusted text to so many characters and remove NULs and lone surrogates, so that it can be sent."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return cut.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "backslashreplace").decode()


def shown(value: Any) -> str:
    """Show an untrusted value in a message: scalars as JSON, everything else cut."""
    if isinstance(value, str):
        return plain(json.dumps(value[: _VALUE + 1], ensure_ascii=False), _VALUE)
    if value is None or isinstance(value, (bool, float)):
        return json.dumps(value)
    try:
        return plain(_SHORT.repr(value), _VALUE)
    except ValueError:  # an int with more digits than Python converts to text
        return f"a huge {type(value).__name__}"


def _field_error(error: Mapping[str, Any], model: Any) -> FieldError:
    loc = tuple(plain(part, _NAME) if isinstance(part, str) else part for part in error["loc"])
    kind, value, context = error["type"], error.get("input"), error.get("ctx") or {}
    if kind == "extra_forbidden":
        known = None if model is None else _fields_at(model, tuple(error["loc"][:-1]))
        told = unknown_name(str(error["loc"][-1]), known, "field")
        return FieldError(loc, told.msg, shown(value), told.allowed, told.nearest)
    if kind == "missing":
        return FieldError(loc, "is required")
    if kind == "json_invalid":
        return FieldError(loc, f"this is not JSON: {context.get('error', error['msg'])}")
    if kind in ("literal_error", "enum"):
        return _of_choices(loc, error, _choices(context.get("expected", "")))
    # Our own validators' messages name the value already.
    if kind in ("value_error", "assertion_error"):
        message = str(error["msg"]).partition(", ")[2] or str(error["msg"])
        return FieldError(loc, plain(message, _MESSAGE), shown(value) if _is_scalar(value) else None)
    message = _WORDS.get(kind) or _SUBJECT.sub("must ", str(error["msg"]), count=1).partition(", unable to parse")[0]
    if kind == "string_pattern_mismatch":
        message = _form(context["pattern"])
    if "input" not in error:
        return FieldError(loc, plain(message, _MESSAGE))
    if longer := _LONGER.fullmatch(message):
        return FieldError(loc, f"{longer['rest']}, not {int(longer['found']):,}", shown(value))
    return FieldError(loc, plain(f"{message}; got {shown(value)}", _MESSAGE), shown(value))


def _form(pattern: str) -> str:
    """A pattern in words: those of names and of digests; any other as it is."""
    if name := _NAME_PATTERN.fullmatch(pattern):
        most, first = int(name["most"]) + 1, _characters(name["first"])
        return f"must be up to {most} characters: {_characters(name['rest'])}; the first from: {first}"
    if digest := _DIGEST_PATTERN.fullmatch(pattern):
        return f"must be {digest['length']} hexadecimal digits"
    return f"must match the pattern {pattern}"


def _characters(allowed: str) -> str:
    """The characters between a pattern's brackets, as `lower-case letters, digits, _, -`."""
    letters = {"A-Za-z": "letters", "a-z": "lower-case letters", "0-9": "digits"}
    words = []
    for characters, word in letters.items():
        if characters in allowed:
            allowed = allowed.replace(characters, "")
            words.append(word)
    return ", ".join([*words, *allowed.replace("\\", "")])


def _of_choices(loc: tuple[str | int, ...], error: Mapping[str, Any], choices: tuple[str, ...]) -> FieldError:
    if "input" not in error:
        return FieldError(loc, plain(f"allowed: {', '.join(choices)}", _MESSAGE), None, choices)
    value = error["input"]
    nearest = nearest_of(value, choices) if isinstance(value, str) else None
    meant = did_you_mean(value, choices) if isinstance(value, str) else ""
    message = f"{shown(value)} is not possible{meant}; allowed: {', '.join(choices)}"
    return FieldError(loc, plain(message, _MESSAGE), shown(value), choices, nearest)


def _choices(expected: str) -> tuple[str, ...]:
    """Split pydantic's `'a', 'b' or 'c'`."""
    quoted = re.findall(r"'([^']*)'", expected)
    return tuple(quoted or re.split(r", | or ", expected))


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def _fields_at(annotation: Any, path: tuple[str | int, ...]) -> list[str]:
    """Names of all fields that the object at this place may have, in order."""
    names: dict[str, None] = {}
    for model in _models_at(annotation, path):
        names |= dict.fromkeys(field.alias or name for name, field in model.model_fields.items())
    return list(names)


def _models_at(annotation: Any, path: tuple[str | int, ...]) -> Iterator[type[BaseModel]]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _models_in(annotation, path)
    elif origin is Annotated:
        tags = [extra.tag for extra in arguments[1:] if isinstance(extra, Tag)]
        if not tags:
            yield from _models_at(arguments[0], path)
        elif path[:1] == (tags[0],):  # pydantic's tag for the chosen member of a union
            yield from _models_at(arguments[0], path[1:])
    elif origin in (Union, UnionType):
        for member in arguments:
            yield from _models_at(member, path)
    elif origin is not Literal and arguments and path:
        yield from _models_at(arguments[-1], path[1:])


def _models_in(model: type[BaseModel], path: tuple[str | int, ...]) -> Iterator[type[BaseModel]]:
    if path[:1] == (model.__name__,):
        path = path[1:]
    if not path:
        yield model
    elif path[0] in model.model_fields:
        yield from _models_at(model.model_fields[str(path[0])].annotation, path[1:])
