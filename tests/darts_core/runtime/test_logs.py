"""Logging when the lines cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.light

SPEAKING = """
import logging, sys
import structlog
from darts_core.runtime.logs import configure
configure()
log = structlog.get_logger("ours")
class Unspeakable:
    def __repr__(self): raise ValueError("no")
try:
    1 / 0
except ZeroDivisionError as error:
    log.error("in a handler", exc_info=error)
    logging.getLogger("theirs").error("%d", "no number")
    logging.getLogger("theirs").error("fine", exc_info=error)
    log.warning("value", value=Unspeakable(), name="\\udcff")
from darts_core.runtime.logs import lost_lines
print("lives, lost", lost_lines())
"""


def said(stderr: int | None, **environment: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", SPEAKING],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=False,
    )
    return ended.stdout


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_full_disk_loses_lines_and_raises_nothing(form: str, buffered: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "wb") as full:
        assert said(full.fileno(), DARTBOARD_LOG_FORMAT=form, PYTHONUNBUFFERED=buffered) == "lives, lost 4\n"


def test_only_lines_that_cannot_be_encoded_are_lost_where_there_is_room() -> None:
    assert said(subprocess.DEVNULL, DARTBOARD_LOG_FORMAT="json") == "lives, lost 2\n"


def test_a_closed_standard_error_raises_nothing() -> None:
    lines = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, SPEAKING], capture_output=True, text=True, check=False
    )
    assert "lives" in lines.stdout, lines


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_holds_no_local_variables(form: str) -> None:
    code = """
import structlog
from darts_core.runtime.logs import configure
configure()
def fail(password):
    raise ValueError("refused")
try:
    fail("hunter" + "2")
except ValueError:
    structlog.get_logger("ours").exception("failed")
"""
    environment = os.environ | {"DARTBOARD_LOG_FORMAT": form}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "ValueError: refused" in ended.stderr
    assert "hunter2" not in ended.stderr
