"""Lays out tables without cutting cells; drops less important columns when space is short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from client.safe_text import one_line

_GAP: Final = 2
# A longer cell widens its own row only.
_LONG: Final = 40


@dataclass(frozen=True)
class Column:
    """rank: 0 is always shown; higher ranks are dropped first. number: right-aligned."""

    title: str
    rank: int = 0
    number: bool = False


class Listing:
    """A table of text cells. Cells are never cut: if they do not fit, a column is dropped or a line is longer."""

    def __init__(self, *columns: Column | str) -> None:
        self.columns = tuple(c if isinstance(c, Column) else Column(c) for c in columns)
        self._rows: list[tuple[str, ...]] = []

    def add(self, *cells: str) -> None:
        """Add a row with a text for each column."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self._rows.append(tuple(one_line(cell) for cell in cells))

    def lines(self, width: int) -> Iterator[Text]:
        """The titles and the rows, with the columns that fit in so many characters."""
        shown = self.fitting(width)
        widths = self._widths()
        yield Text(self._line([c.title for c in shown], shown, widths), style="bold")
        places = [self.columns.index(column) for column in shown]
        for row in self._rows:
            yield Text(self._line([row[place] for place in places], shown, widths))

    def markdown(self) -> Iterator[str]:
        """The titles and the rows as a table in Markdown."""
        yield _markdown_row(column.title for column in self.columns)
        yield f"|{'|'.join('---:' if column.number else '---' for column in self.columns)}|"
        yield from map(_markdown_row, self._rows)

    def fitting(self, width: int) -> list[Column]:
        """The columns that fit in so many characters. A cell that is longer than most does not count."""
        shown, widths = list(self.columns), self._widths()
        for column in sorted(self.columns, key=lambda c: c.rank, reverse=True):
            if column.rank == 0 or sum(widths[c] for c in shown) + _GAP * (len(shown) - 1) <= width:
                break
            shown.remove(column)
        return shown

    def _widths(self) -> dict[Column, int]:
        widths = {}
        for place, column in enumerate(self.columns):
            cells = (cell_len(row[place]) for row in self._rows)
            widths[column] = max(cell_len(column.title), *(width for width in cells if width <= _LONG), 0)
        return widths

    @staticmethod
    def _line(cells: list[str], shown: Sequence[Column], widths: dict[Column, int]) -> str:
        padded = []
        for cell, column in zip(cells, shown, strict=True):
            blanks = " " * (widths[column] - cell_len(cell))
            padded.append(blanks + cell if column.number else cell + blanks)
        return (" " * _GAP).join(padded).rstrip()


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
