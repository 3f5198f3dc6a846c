"""`dartboard verify-docs`: runs the commands whose figures the documents quote, and compares."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from client.output import print_text

_ROOT: Final = Path(__file__).resolve().parents[2]
_QUOTED: Final = re.compile(r"^<!-- figures of: dartboard (?P<command>.+) -->\n\n?(?P<lines>(?:.+\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Quoted:
    """Lines of a page that a command prints. page: with the line of the comment that names the command."""

    page: str
    command: str
    lines: tuple[str, ...]

    def differences(self, printed: str) -> list[str]:
        """Lines of the page that the first paragraph of the command's output lacks (`-`), and the reverse (`+`)."""
        paragraph = printed.split("\n\n")[0].splitlines()
        return [f"- {line}" for line in self.lines if line not in paragraph] + [
            f"+ {line}" for line in paragraph if line not in self.lines
        ]


def quoted(page: Path, root: Path = _ROOT) -> Iterator[Quoted]:
    """What a page quotes: each paragraph behind a comment `<!-- figures of: dartboard COMMAND -->`."""
    text = page.read_text()
    for found in _QUOTED.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Quoted(f"{page.relative_to(root)}:{line}", found["command"], tuple(found["lines"].splitlines()))


def verify_docs() -> None:
    """Run the commands whose figures README.md and docs/ quote; exit code 1 where they print other ones.

    Commands that measure for long are not among them.
    """
    wrong = 0
    for page in (_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))):
        for quote in quoted(page):
            call = [sys.executable, "-m", "client.cli", *shlex.split(quote.command)]
            answer = subprocess.run(call, cwd=_ROOT, capture_output=True, text=True, check=False)
            failed = answer.stderr.strip().splitlines()[-1:] if answer.returncode else []
            differences = failed or quote.differences(answer.stdout)
            print_text(f"{'differs' if differences else 'the same'}  {quote.page}  dartboard {quote.command}")
            for line in differences:
                print_text(f"    {line}")
            wrong += bool(differences)
    raise typer.Exit(min(1, wrong))
