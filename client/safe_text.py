"""Escapes characters that a terminal interprets: control characters, bidirectional overrides, lone surrogates."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from typing import Final

from rich.text import Text

_BIDIRECTIONAL: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_MARKS: Final = frozenset("\u061c\u200e\u200f\ufeff")
_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_LINE_BREAKS: Final = frozenset("\n\t")


def safe(text: str) -> str:
    r"""Replace each such character, except line feeds and tabs, by its Python escape, such as `\x1b`."""
    return _unsafe().sub(_escaped, text)


def one_line(text: str) -> str:
    """Escape line feeds and tabs as well, for a table's cell."""
    return safe(text).replace("\n", "\\n").replace("\t", "\\t")


def safe_spans(text: Text) -> Text:
    """Escape styled text; styles stay on their characters."""
    found = list(_unsafe().finditer(text.plain))
    if not found:
        return text
    shown, end = text.blank_copy(), 0
    for match in found:
        shown.append_text(text[end : match.start()]).append(_escaped(match))
        end = match.end()
    return shown.append_text(text[end:])


@cache
def _unsafe() -> re.Pattern[str]:
    # All characters of these categories are in the basic plane.
    characters = (chr(code) for code in range(min(sys.maxunicode, 0xFFFF) + 1))
    return re.compile("[" + "".join(re.escape(c) for c in characters if _is_unsafe(c)) + "]")


def _is_unsafe(character: str) -> bool:
    if character in _LINE_BREAKS:
        return False
    category, direction = unicodedata.category(character), unicodedata.bidirectional(character)
    return category in _CATEGORIES or direction in _BIDIRECTIONAL or character in _MARKS


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
