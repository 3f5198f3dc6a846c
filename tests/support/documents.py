"""The fenced blocks of README.md and docs/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK: Final = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n+)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)

_PAGE: Final = re.compile(r"^<!-- commands not run: (?P<reason>.+?) -->$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One block of a page. reason: why it is not run, in a comment before it (`<!-- not run: ... -->`), or in one for
    the whole page (`<!-- commands not run: ... -->`).
    """

    page: str
    line: int
    language: str
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path, language: str) -> Iterator[Block]:
    """A page's blocks in this language, in order."""
    text = page.read_text(encoding="utf-8")
    whole = _PAGE.search(text)
    for found in _BLOCK.finditer(text):
        if found["language"] == language:
            line = text.count("\n", 0, found.start("text")) + 1
            reason = found["reason"] or (whole["reason"] if whole else None)
            yield Block(str(page.relative_to(ROOT)), line, language, found["text"], reason)
