"""Text from outside is printed unchanged, and a terminal obeys none of it."""

from __future__ import annotations

import io
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from client.output import Printer, console, print_error, print_listing, print_text, remarks, warn
from client.tables import Column, Listing

pytestmark = pytest.mark.light

HOSTILE = {
    "x [/foo]": "x [/foo]",
    "[red]hi": "[red]hi",
    "[link=http://evil]x[/link]": "[link=http://evil]x[/link]",
    ":smile:": ":smile:",
    "\x1b[31mred": "\\x1b[31mred",
    "\x9b31m": "\\x9b31m",
    "\u202egnp.exe": "\\u202egnp.exe",
    "a\rb": "a\\x0db",
}
ID = "0192f3b4-0000-7000-8000-000000000001"


class Terminal(io.StringIO):
    """A file that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def printed(*objects: Any, terminal: bool = True, sep: str = " ") -> str:
    file = Terminal() if terminal else io.StringIO()
    Printer(file=file, width=80, color_system=None).print(*objects, sep=sep)
    return file.getvalue()


def obeyed(text: str) -> set[str]:
    """The characters that a terminal would act upon, but for ends of lines."""
    acted = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return {
        c
        for c in text
        if (unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t") or unicodedata.bidirectional(c) in acted
    }


@given(st.text())
def test_no_text_reaches_the_terminal_as_a_command(text: str) -> None:
    listing = Listing("name", Column("more", 1))
    listing.add(text, text)
    for shown in (text, Text(text, style="bold"), listing):
        assert not obeyed(printed(shown))


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_visible_text_is_shown_as_it_is(text: str) -> None:
    assert printed(text) == text + "\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_by_every_way_to_print(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    listing = Listing("name")
    listing.add(text)
    for show in (console.print, remarks.print, print_text, warn, print_error):
        show(text)
    print_listing(listing)
    said = "".join(capsys.readouterr())
    assert not obeyed(said)
    assert said.count(HOSTILE[text]) == 6


def test_a_file_has_no_width() -> None:
    long = " ".join(["word"] * 100)
    assert printed(long, terminal=False) == long + "\n"


@pytest.mark.parametrize("wide", [False, True])
def test_a_table_in_a_file_has_all_columns(wide: bool, capfd: pytest.CaptureFixture[str]) -> None:
    listing = Listing("id", *(Column(f"column{place}", place) for place in range(9)))
    listing.add(ID, *("x" * 30,) * 8, "word " * 100 + "end")
    print_listing(listing, wide=wide)
    titles, row = capfd.readouterr().out.splitlines()
    assert titles.split() == [column.title for column in listing.columns]
    assert row.startswith(f"{ID}  {'x' * 30}  ")
    assert row.endswith("word end")


def test_a_long_cell_costs_no_other_row_a_column() -> None:
    listing = Listing("id", Column("name", 1))
    listing.add(ID, "a name " * 100)
    listing.add(ID, "short")
    assert [c.title for c in listing.fitting(80)] == ["id", "name"]


@pytest.mark.parametrize("width", [10, 40, 60, 80])
def test_a_table_leaves_columns_out_and_cuts_none(width: int) -> None:
    listing = Listing("id", Column("kind", 3), "name", Column("images", 1, number=True), Column("note", 2))
    listing.add(ID, "search", "cifar100", "128,116", "a note")
    head, row = (line.plain for line in listing.lines(width))
    titles = head.split()
    assert titles[:1] == ["id"]
    assert "name" in titles
    whole = {"id": ID, "kind": "search", "name": "cifar100", "images": "128,116", "note": "a note"}
    assert row.split() == " ".join(whole[title] for title in titles).split()
    assert len(row) <= width or titles == ["id", "name"]


def test_the_least_important_column_goes_first(capsys: pytest.CaptureFixture[str]) -> None:
    listing = Listing("id", Column("b", 2), Column("c", 1))
    listing.add(ID, "x" * 30, "y" * 30)
    assert [c.title for c in listing.fitting(104)] == ["id", "b", "c"]
    assert [c.title for c in listing.fitting(70)] == ["id", "c"]
    assert [c.title for c in listing.fitting(10)] == ["id"]


def test_a_name_cannot_forge_a_row() -> None:
    listing = Listing("name", "state")
    listing.add("a\nforged  ready", "failed")
    assert len(printed(*listing.lines(80), sep="\n").splitlines()) == 2


def test_a_table_in_markdown_has_its_numbers_to_the_right() -> None:
    listing = Listing("method", Column("epochs", number=True))
    listing.add("darts", "50")
    assert [*listing.markdown()] == ["| method | epochs |", "|---|---:|", "| darts | 50 |"]
