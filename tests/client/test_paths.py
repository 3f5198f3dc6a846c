"""Every file and folder of the project that a document names exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.light

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
TOPS = "api|benchmarks|client|darts_core|deploy|docs|migrations|requirements|sdk|tests|worker"


def named(text: str) -> Iterator[str]:
    """Paths in backticks from the top of the repository that end in a suffix or a slash."""
    yield from re.findall(rf"`((?:{TOPS})/[\w./*-]*(?:\.\w+|/))`", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_paths_of_a_page_exist(page: Path) -> None:
    assert [path for path in named(page.read_text()) if not any(ROOT.glob(path.rstrip("/")))] == []


def test_a_path_is_found_in_prose() -> None:
    assert list(named("`api/app.py` and `worker/none/`, not `GET /jobs` or api/x.py")) == ["api/app.py", "worker/none/"]
