"""Writes values as Python literals, as `ruff format` would. Imports no torch."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

WIDTH: Final = 88


def quoted(text: str) -> str:
    """A string literal of any text. Quotes, backslashes and unprintable characters are escaped."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return f"{quote}{_escaped(text, quote)}{quote}"


def listed(name: str, items: Sequence[str], brackets: tuple[str, str] = ("(", ")")) -> str:
    """The assignment of a tuple or, by other brackets, a dictionary: on one line, or each item on its own."""
    first, last = brackets
    alone = "," if len(items) == 1 and first == "(" else ""
    line = f"{name} = {first}{', '.join(items)}{alone}{last}"
    return line if len(line) <= WIDTH else "\n".join((f"{name} = {first}", *(f"    {item}," for item in items), last))


def words(name: str, values: Sequence[str]) -> str:
    """The assignment of a tuple of texts to a name: words without spaces in lines as long as they fit."""
    if any(value.split() != [value] for value in values):
        return listed(name, [quoted(value) for value in values])
    lines = [""]
    for word in (_escaped(value, '"') for value in values):
        if lines[-1] and len(lines[-1]) + len(word) >= WIDTH:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join((f'{name}_TEXT = """', *lines, '"""', f"{name} = tuple({name}_TEXT.split())"))


def paragraphs(*texts: str) -> str:
    """Paragraphs of a docstring, filled. texts: without quotes and backslashes."""
    return "\n\n".join(textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False) for text in texts)


def _escaped(text: str, quote: str) -> str:
    return "".join(f"\\{c}" if c == quote else c if c in "\"'" else repr(c)[1:-1] for c in text)
