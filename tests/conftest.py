"""Settings that apply before anything is imported, and marks by folder and fixture."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Triton reads it when it is first imported, which any part of torch may do; without a GPU only its interpreter runs.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# A script's background processes, and their children, ignore Ctrl-C; tests send it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine makes no test fail.
settings.register_profile("dartboard", deadline=None)
settings.load_profile("dartboard")

_OF_FOLDERS = {"e2e": ("stack",), "chaos": ("stack", "slow"), "compose": ("compose", "slow")}
_OF_FIXTURES = {"service": "stack", "guarded": "stack", "stack": "stack", "browser": "browser"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        of_fixtures = (mark for fixture, mark in _OF_FIXTURES.items() if fixture in fixtures)
        for mark in {*_OF_FOLDERS.get(item.path.parent.name, ()), *of_fixtures}:
            item.add_marker(mark)
