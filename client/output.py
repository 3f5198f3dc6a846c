"""Prints all output: results to standard output, remarks to standard error.

Untrusted text (names, messages, paths) is never parsed as markup, and its control characters are escaped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import IO, Any, NoReturn

from pydantic import BaseModel
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from client.safe_text import safe, safe_spans
from client.tables import Listing

# Width for files and pipes: lines are not wrapped.
_NO_WIDTH = 1 << 20


class Printer(Console):
    """A rich console without markup that escapes control characters, and without a width when not on a terminal.

    Styles are given by `style=` or a `rich.text.Text`. Raises BrokenPipeError when the reader has gone.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True, **options)

    @property
    def options(self) -> ConsoleOptions:
        """The terminal's options, or unlimited width."""
        options = super().options
        return options if _is_terminal(self.file) else options.update(width=_NO_WIDTH)

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape control characters; rich renders every plain string through this method."""
        return super().render_str(safe(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape control characters in styled text."""
        return super().render(safe_spans(renderable) if isinstance(renderable, Text) else renderable, options)

    def on_broken_pipe(self) -> NoReturn:
        """Leave the exit to `client.cli`. Raises BrokenPipeError."""
        raise BrokenPipeError


console = Printer()
# Progress and remarks go here, so that standard output holds only the result.
remarks = Printer(stderr=True)


def print_text(text: str) -> None:
    """Print a text unchanged except for control characters: a genotype, a path, CSV."""
    sys.stdout.write(safe(text).removesuffix("\n") + "\n")
    sys.stdout.flush()


def print_json(value: BaseModel | list[Any] | dict[str, Any]) -> None:
    """Print one document on one line."""
    sys.stdout.write(json.dumps(_plain(value)) + "\n")
    sys.stdout.flush()


def print_listing(listing: Listing, *, wide: bool = False) -> None:
    """Print a table with as many columns as fit the terminal, or all; a remark lists those left out."""
    options = console.options.update(width=_NO_WIDTH) if wide else console.options
    for line in listing.lines(options.max_width):
        console.print(line)
    shown = listing.fitting(options.max_width)
    if left_out := [column.title for column in listing.columns if column not in shown]:
        remarks.print(f"not shown for lack of room: {', '.join(left_out)} (--wide or --json)", style="dim")


def warn(message: str) -> None:
    """Print a warning on standard error."""
    remarks.print(Text.assemble(("warning: ", "yellow"), safe(message)))


def print_error(message: str) -> None:
    """Print the reason of a failure on standard error."""
    remarks.print(Text.assemble(("error: ", "red"), safe(message)))


def is_interactive() -> bool:
    """Whether standard output is a terminal."""
    return _is_terminal(sys.stdout)


def _is_terminal(file: IO[str]) -> bool:
    try:
        return file.isatty()
    except ValueError:  # closed
        return False


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value
