"""Runs the checks of the dashboard's JavaScript; tests/dashboard/*.test.js are its unit tests."""

from __future__ import annotations

import pytest

from client.commands import javascript


@pytest.mark.skipif(javascript.node() is None, reason="the extra `dev` with node is not installed")
@pytest.mark.parametrize("name", javascript.CHECKS)
def test_javascript_is_clean(name: str) -> None:
    javascript.run(name)
