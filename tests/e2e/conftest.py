"""The whole stack, as a user starts it: Postgres, Valkey, API and one worker, driven over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, Page

from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.browser import launched, opened
from tests.support.small_search import QUICK_SIGNS, SEARCH


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def stack(data: Path) -> Iterator[LocalStack]:
    environment = {"DARTBOARD_LEASE_SECONDS": "5", **QUICK_SIGNS}
    with LocalStack(data, port=0, workers=1, environment=environment) as stack:
        yield stack


@pytest.fixture
def dartboard(stack: LocalStack) -> Iterator[Dartboard]:
    with Dartboard(stack.url) as sdk:
        yield sdk


@pytest.fixture
def submit(dartboard: Dartboard) -> Callable[..., JobOut]:
    def _submit(**fields: Any) -> JobOut:
        return dartboard.submit("search", {**SEARCH, **fields})

    return _submit


@pytest.fixture
def worker_child(stack: LocalStack) -> Callable[[], psutil.Process]:
    """The worker's process that does the work: the pool's child."""

    def find() -> psutil.Process:
        pid = stack.processes["worker-1"].pid
        assert pid is not None
        children = psutil.Process(pid).children()
        [child] = [c for c in children if any("spawn_main" in part for part in c.cmdline())]
        return child

    return find


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, stack: LocalStack) -> Iterator[Page]:
    with opened(browser, stack.url) as page:
        yield page
