"""Requests the page at `/` and its files; tests/e2e/test_dashboard.py opens them in a browser."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest

STATIC = Path(__file__).parents[2] / "api" / "dashboard" / "static"


@pytest.fixture
def page(http: httpx.Client) -> str:
    return http.get("/").text


def files(page: str) -> list[str]:
    """The files that the page names, and the modules that views import later."""
    [base] = set(re.findall(r'href="(/static/[^"]+/)app.js"', page))
    [later] = re.findall(r'name="modules" content="([^"]+)"', page)
    return re.findall(r'"(/static/[^"]+)"', page) + [base + name for name in later.split()]


def test_the_page_and_its_files_allow_no_script_from_elsewhere_and_none_in_line(http: httpx.Client, page: str) -> None:
    policy = http.get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'self'(;|$)", policy)
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:|<style", page)


def test_nothing_is_fetched_from_another_host(http: httpx.Client, page: str) -> None:
    texts = [page, *(http.get(url).text for url in files(page) if "plotly" not in url)]
    elsewhere = [found for text in texts for found in re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text)]
    assert [url for url in elsewhere if not url.endswith("//www.w3.org")] == []


def test_browsers_may_keep_every_file_of_the_page_forever(http: httpx.Client, page: str) -> None:
    assert len(files(page)) > 20
    for url in files(page):
        answer = http.head(url)
        assert answer.status_code == 200, url
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_modules_are_served_without_block_comments_on_the_same_lines(http: httpx.Client, page: str) -> None:
    [url] = [url for url in files(page) if url.endswith("/lib/format.js")]
    served, source = http.get(url).text.splitlines(), (STATIC / "lib" / "format.js").read_text().splitlines()
    assert not any(line.lstrip().startswith(("/**", "*")) for line in served)
    code = {number: line for number, line in enumerate(source) if not line.lstrip().startswith(("/**", "*"))}
    assert {number: served[number] for number in code} == code


def test_the_charts_come_compressed_from_the_installed_wheel(http: httpx.Client, page: str) -> None:
    [url] = {url for url in files(page) if url.endswith("plotly.min.js")}
    packed = http.get(url)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < 1_600_000
    plain = http.get(url, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content
    assert b"plotly.js v" in plain.content[:200]


def test_the_page_before_its_charts_is_small(http: httpx.Client, page: str) -> None:
    urls = {url for url in files(page) if "plotly" not in url}
    sent = sum(int(http.get(url).headers["Content-Length"]) for url in urls) + len(gzip.compress(page.encode()))
    assert sent < 120_000


def test_an_unchanged_page_is_not_sent_again(http: httpx.Client) -> None:
    known = http.get("/").headers["ETag"]
    assert http.get("/", headers={"If-None-Match": known}).status_code == 304
    assert http.get("/", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", ["x/app.js", "0123456789abcdef/app.js", "../pyproject.toml", "%2e%2e/assets.py", ""])
def test_a_path_that_names_no_file_is_404(http: httpx.Client, path: str) -> None:
    assert http.get(f"/static/{path}").status_code == 404
