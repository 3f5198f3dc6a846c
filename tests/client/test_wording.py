"""The banned expressions are found in prose, over a line's end too, and names in quotes are not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from client.wording import check, findings

pytestmark = pytest.mark.light


@pytest.mark.parametrize(
    "text",
    [
        "Nobody reads it.",
        "for whoever asks",
        "The page says so.",
        "the log says\nso",
        "# it is gone for\n# good",
        "   * the cells, at\n   * first",
        "(unless said)",
        'f"nobody can sign in at {label}"',
        "they come by and by,",
        "one\n<<<<<<< HEAD\ntwo",
        "one\n>>>>>>> 7c801ea (a change)\n",
    ],
)
def test_a_banned_expression_is_found(text: str) -> None:
    assert len(list(findings(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "the gradient at first order",
        "a first-order search, at first-order cost",
        "for good reasons",
        '{"pool": "nobody"}',
        "the user `nobody`",
        "postgresql://nobody@127.0.0.1/none",
        "if identity == 'nobody': setuid(NOBODY)",
        "def _become_nobody() -> None:",
        "nobody_else = 1",
        "the whole",
        ">>> a prompt\nTitle\n=======",
    ],
)
def test_other_words_and_names_pass(text: str) -> None:
    assert list(findings(text)) == []


def test_findings_have_their_lines() -> None:
    assert list(findings("one\ntwo, and whom\n\nsays\nso")) == [(2, "whom"), (4, "says so")]


def test_the_files_of_a_repository_are_checked(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("ignored.txt\n")
    for name in ("new.md", "ignored.txt"):
        (tmp_path / name).write_text("Nobody\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG nobody")
    assert check(tmp_path) == ["new.md:1: Nobody"]
