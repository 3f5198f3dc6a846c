"""Debian's chromium on the dashboard, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Several times what a view takes: the machine is shared with the search that is watched.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def launched() -> Iterator[Browser]:
    """One browser, without a window. Skips the test where no chromium is installed."""
    if CHROMIUM is None:
        pytest.skip("no chromium is installed (`apt-get install chromium`)")
    with sync_playwright() as playwright:
        # Inside a container chromium cannot make the namespaces of its own sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, **context: Any) -> Iterator[Page]:
    """A page with cookies and cache of its own. Whatever its console calls an error is one at the end.

    Its `troubles` are what was said so far: a test that makes some clears them.
    """
    with browser.new_context(base_url=url, viewport={"width": 1280, "height": 900}, **context) as own:
        own.set_default_timeout(PATIENCE_MS)
        page = own.new_page()
        troubles: list[str] = []
        page.on("console", lambda message: _note(troubles, message))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.troubles = troubles  # type: ignore[attr-defined]
        yield page
        assert troubles == [], troubles


def _note(troubles: list[str], message: ConsoleMessage) -> None:
    if message.type in ("error", "warning"):
        troubles.append(f"{message.text} ({message.location.get('url', '')})")


def go(page: Page, place: str, seen: str = "h1") -> None:
    """To a place in the dashboard, and wait until something is there."""
    page.goto(f"/#/{place}")
    page.wait_for_selector(seen)


def drawn(page: Page) -> None:
    """Scroll to every chart of the view, which draws it, and wait until all are there."""
    for chart in page.locator(".chart:visible").all():
        chart.scroll_into_view_if_needed()
        expect(chart.locator(".main-svg").first).to_be_visible()


def check_everywhere(page: Page) -> None:
    """Check that the view is accessible, light and dark, and fits the screen of a desk and of a phone."""
    before = page.viewport_size
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (page.url, width)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = violations(page)
            assert found == [], f"{page.url} {width} {scheme}: {found}"
    page.emulate_media(color_scheme="light")
    if before is not None:
        page.set_viewport_size(before)


def violations(page: Page) -> list[str]:
    """The accessibility violations that axe-core finds."""
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes']][:3]}"
        for each in found.response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
