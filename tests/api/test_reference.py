"""The interactive API documentation: served by this service alone, under a policy that lets no other script run."""

from __future__ import annotations

import re

import httpx


def test_the_page_and_all_its_files_come_from_this_service(http: httpx.Client) -> None:
    page = http.get("/docs")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 4
    for address in addresses:
        assert address.startswith(("/docs/", "data:")), address
        if address.startswith("/"):
            assert http.get(address).status_code == 200, address


def test_the_page_runs_no_script_of_its_own_text(http: httpx.Client) -> None:
    assert re.findall(r"<script(?![^>]* src=)", http.get("/docs").text) == []


def test_an_unknown_file_is_404(http: httpx.Client) -> None:
    assert http.get("/docs/redoc.standalone.js").status_code == 404
