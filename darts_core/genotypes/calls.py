"""Finds `Genotype(...)` calls in any text: log lines, modules, pasted messages. Imports no torch."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from darts_core.errors import GenotypeError
from darts_core.genotypes.model import FIELDS
from darts_core.genotypes.recurrent import RECURRENT_FIELDS
from darts_core.primitives import Family

_CALL: Final = re.compile(r"(?<!\w)(?<!class )(?<!def )Genotype\s*\(")
# Calls do not nest: a second `Genotype(` inside means that the first was not a call.
_TOKEN: Final = re.compile(r"""'[^'\n]*'|"[^"\n]*"|\#[^\n]*|(?<!\w)Genotype\s*\(|[()\[\]{}]""")
# `NAME = `, `NAME: ` or `"NAME": ` before a call, optionally followed by `module.`.
_NAME: Final = re.compile(r"""([A-Za-z_][\w.-]*)['"]?\s*[=:]\s*(?:[\w.]+\.)?$""")
_ALIAS: Final = re.compile(r"^[ \t]*(\w+)[ \t]*=[ \t]*(\w+)[ \t]*(?:#.*)?$", re.MULTILINE)
_FIELD: Final = re.compile(r"\b(normal|normal_concat|reduce|reduce_concat|recurrent|concat)\s*=")
_FIELDS_OF: Final[dict[Family, frozenset[str]]] = {"cnn": frozenset(FIELDS), "rnn": frozenset(RECURRENT_FIELDS)}
_NAME_WITHIN: Final = 200
_NAMES_LISTED: Final = 20
_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{PRIME}", "'"),
        **dict.fromkeys("\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{DOUBLE PRIME}", '"'),
        "\N{NO-BREAK SPACE}": " ",
        "\N{ZERO WIDTH SPACE}": "",
        "\N{BYTE ORDER MARK}": "",
    }
)


@dataclass(frozen=True)
class Call:
    """One call. name: the variable or field that it is assigned to. line: where it starts, from 1."""

    name: str | None
    line: int
    text: str
    in_comment: bool

    @property
    def title(self) -> str:
        return f"{self.name} (line {self.line})" if self.name else f"line {self.line}"

    def is_of(self, family: Family) -> bool:
        """Whether the call names fields of this family, or no fields."""
        named = set(_FIELD.findall(self.text))
        return not named or bool(named & _FIELDS_OF[family])


def plain(text: str) -> str:
    """Strip a byte order mark, HTML escapes and typographic quotes."""
    return html.unescape(text).translate(_PLAIN).strip()


def cell_in(text: str) -> str:
    """Return the text of the only genotype in any text. Raises GenotypeError as `only_call` does."""
    return only_call(plain(text))


def only_call(text: str, family: Family | None = None) -> str:
    """Return the text of the only genotype in a plain text; where both families occur, the only one of `family`.

    Raises GenotypeError when there is none, and lists the names when there are several.
    """
    calls = _calls(text)
    calls = [call for call in calls if family is not None and call.is_of(family)] or calls
    if len({_compact(call) for call in calls}) > 1:
        raise GenotypeError(
            f"this text holds {len(calls)} different genotypes: {_listed(calls)}: choose one, FILE:NAME or FILE:LINE "
            "for the command, or give it alone"
        )
    return calls[-1].text


def cell_named(text: str, name: str) -> str:
    """Return the text of the genotype with this name, or on this line. Raises GenotypeError."""
    text = plain(text)
    calls, aliases = _calls(text), dict(_ALIAS.findall(text))
    names = {name}
    while (aliased := aliases.get(name)) is not None and aliased not in names:
        names.add(name := aliased)
    chosen = [call for call in calls if call.name in names or str(call.line) == name]
    if not chosen:
        raise GenotypeError(f"no genotype is called {name!r}, nor starts on such a line; there are {_listed(calls)}")
    if len({_compact(call) for call in chosen}) > 1:
        raise GenotypeError(f"{len(chosen)} genotypes are called {name!r}: choose by the line; {_listed(chosen)}")
    return chosen[-1].text


def _calls(text: str) -> list[Call]:
    """All calls with a list argument. Calls in comments count only when there are no others."""
    found = [call for call in _scanned(text) if "[" in call.text]
    if not found:
        raise GenotypeError("this text has no call `Genotype(...)` with lists of operations")
    return [call for call in found if not call.in_comment] or found


def _scanned(text: str) -> Iterator[Call]:
    place = line = 0
    while start := _CALL.search(text, place):
        first, depth = start.start(), 1
        end = None
        for token in _TOKEN.finditer(text, start.end()):
            kind = token[0][0]
            if kind == "G":
                first, depth = token.start(), 1
            elif kind in "([{":
                depth += 1
            elif kind in ")]}":
                depth -= 1
            if depth == 0:
                end = token.end()
                break
        line += text.count("\n", place, first)
        if end is None:
            raise GenotypeError(f"the genotype on line {line + 1} is cut off: its brackets are not closed")
        before = text[max(text.rfind("\n", 0, first) + 1, first - _NAME_WITHIN) : first]
        name = _NAME.search(before)
        yield Call(name and name[1], line + 1, _unescaped(text[first:end]), before.lstrip().startswith("#"))
        line += text.count("\n", first, end)
        place = end


def _unescaped(text: str) -> str:
    """Remove backslashes that a string literal added; genotypes have none."""
    return text.replace("\\n", "\n").replace("\\", "")


def _compact(call: Call) -> str:
    return re.sub(r"#[^\n]*|\s+", "", call.text)


def _listed(calls: Sequence[Call]) -> str:
    titles = [call.title for call in calls]
    more = f" and {len(titles) - _NAMES_LISTED} more" if len(titles) > _NAMES_LISTED else ""
    return ", ".join(titles[:_NAMES_LISTED]) + more
