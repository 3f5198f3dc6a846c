"""Installed packages: the developers' tools, and uv's cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.installed import call, has, lock, wheel

pytestmark = pytest.mark.slow


def test_the_developers_tools_are_installed_by_the_first_call_that_needs_them(ready: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    lock(ready, wheel(links, "usertool", "1"), wheel(links, "devtool", "1"))
    offline = {"PIP_FIND_LINKS": str(links), "PIP_NO_INDEX": "1"}
    assert call(ready / "dartboard", "demo", **offline).returncode == 0
    assert (has(ready, "usertool"), has(ready, "devtool")) == (True, False)
    assert call(ready / "dartboard", "test", **offline).returncode == 0
    assert has(ready, "devtool")
    assert call(ready / "dartboard", "test", **offline).stderr == ""
    assert call(ready / "dartboard", "demo", **offline).stderr == ""


def test_packages_are_links_into_uvs_cache_of_the_user_and_it_is_named(ready: Path, tmp_path: Path) -> None:
    lock(ready, wheel(tmp_path / "links", "usertool", "1"))
    offline = {"PIP_FIND_LINKS": str(tmp_path / "links"), "PIP_NO_INDEX": "1"}
    installed = call(ready / "dartboard", **offline, XDG_CACHE_HOME=str(tmp_path / "cache"), UV_LINK_MODE="hardlink")
    assert f"uv's cache: {tmp_path}/cache/uv\n" in installed.stderr
    (module,) = (ready / ".venv").glob("lib/python*/site-packages/usertool.py")
    assert module.stat().st_nlink == 2


def test_a_cache_that_cannot_be_linked_from_is_replaced_by_one_beside_the_packages(ready: Path) -> None:
    assert f"uv's cache: {ready}/.venv/cache\n" in call(ready / "dartboard").stderr
