"""The API documentation in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_the_documentation_shows_the_operations_without_a_word_on_the_console(page: Page) -> None:
    page.goto("/docs")
    page.get_by_text("/searches", exact=True).first.wait_for()
    page.locator("#operations-searches-create_search, [id*=create_search]").first.wait_for()
