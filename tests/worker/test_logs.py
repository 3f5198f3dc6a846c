"""The log lines of a worker, from every library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.light

SPEAKING = """
import logging, threading
import structlog
from worker.logs import configure, working_on
configure(worker="host-1")
log = structlog.get_logger("ours")
with working_on(job="j", attempt="a"):
    thread = threading.Thread(target=lambda: log.warning("beside", n=1))
    thread.start()
    thread.join()
    logging.getLogger("theirs").warning("%d of %d", 2, 3)
try:
    1 / 0
except ZeroDivisionError:
    log.error("after", exc_info=True)
"""


def said(**environment: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", SPEAKING], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    return ended.stderr


def test_every_line_is_an_object_that_says_who_works_on_what() -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in said().splitlines()]
    beside, theirs, after = lines
    assert [beside["event"], theirs["event"], after["event"]] == ["beside", "2 of 3", "after"]
    for line in (beside, theirs):
        assert {"worker": "host-1", "job": "j", "attempt": "a", "level": "warning"}.items() <= line.items()
    assert theirs["logger"] == "theirs"
    assert "job" not in after
    assert "ZeroDivisionError" in after["exception"]


def test_a_person_gets_words() -> None:
    text = said(DARTBOARD_LOG_FORMAT="console")
    assert "beside" in text
    assert "{" not in text.splitlines()[0]


def test_a_format_that_there_is_not_is_refused_by_name() -> None:
    assert "DARTBOARD_LOG_FORMAT=xml: there are json and console" in said(DARTBOARD_LOG_FORMAT="xml")
