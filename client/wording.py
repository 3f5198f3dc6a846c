"""Finds the expressions that Dartboard's code, documents, messages and page do without, and what a merge left behind.

The expressions read like a translation. The cure is a sentence with a subject, a verb and an object, not a synonym.
`./dartboard check` runs this over every file of the repository; a word in quotes, as in `"nobody"`, is a name and
passes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

BANNED: Final = (
    "whoever",
    "whom",
    "whomever",
    "nobody",
    "somebody",
    "wherever",
    "says so",
    "for good(?! reasons?| measure)",
    "by and by",
    "unless said",
    "at first(?! order|-order| glance| sight)",
)
# The lists of packages and hashes, and the two files that have to name the expressions.
_SPARED: Final = re.compile(
    r"requirements/.*|constraints\.txt|package-lock\.json|client/wording\.py|tests/client/test_wording\.py"
)
_GAP: Final = r"[\s#*/]+"  # between two words: a comment's next line, too
_EXPRESSION: Final = re.compile(
    r"(?<![\w`/@])(?:"
    + "|".join(f"[{phrase[0].upper()}{phrase[0]}]{phrase[1:].replace(' ', _GAP, 1)}" for phrase in BANNED)
    + r")(?![\w`@:])"
)
_QUOTES: Final = ('"', "'")
_CONFLICT: Final = re.compile(r"^(?:<{7}|>{7}) .*", re.MULTILINE)


def findings(text: str) -> Iterator[tuple[int, str]]:
    """Each banned expression or conflict marker of a text: its line, counted from 1, and how it is written there."""
    for found in chain(_EXPRESSION.finditer(text), _CONFLICT.finditer(text)):
        if text[found.start() - 1 : found.start()] in _QUOTES and text[found.end() : found.end() + 1] in _QUOTES:
            continue  # a name, not a sentence that begins or ends with it
        yield text.count("\n", 0, found.start()) + 1, " ".join(found.group().split())


def check(root: Path) -> list[str]:
    """A line, `path:line: expression`, for each banned expression in the files of the Git repository at `root`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = []
    for name in sorted(filter(None, listed.stdout.split("\0"))):
        path = root / name
        if _SPARED.fullmatch(name) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or another binary file
        lines += [f"{name}:{line}: {expression}" for line, expression in findings(text)]
    return lines


if __name__ == "__main__":
    found = check(Path(__file__).resolve().parents[1])
    print("\n".join([*found, f"{len(found)} banned expressions"]))
    sys.exit(bool(found))
