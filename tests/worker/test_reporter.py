"""Reports go out in order, each until it has arrived."""

import threading
from typing import Any, cast

import pytest

from worker.api_client import (
    AttemptApi,
    RefusedError,
    StoreFullError,
    SupersededError,
    UnreachableError,
    WorkerApiError,
)
from worker.control import AttemptControl, StopReason
from worker.reporter import Reporter

pytestmark = pytest.mark.light

NO_API = cast(AttemptApi, None)  # the deliveries below do not call it


@pytest.fixture
def control() -> AttemptControl:
    return AttemptControl()


@pytest.fixture
def reporter(control: AttemptControl) -> Reporter:
    reporter = Reporter(NO_API, control)
    reporter.start()
    return reporter


def test_reports_arrive_in_order_and_numbered_from_1(reporter: Reporter) -> None:
    arrived: list[tuple[str, int]] = []
    for name in "abc":

        def deliver(_: AttemptApi, number: int, name: str = name) -> None:
            arrived.append((name, number))

        reporter.send(name, deliver)
    assert reporter.close(patience=10)
    assert arrived == [("a", 1), ("b", 2), ("c", 3)]


def test_a_report_is_repeated_with_its_number_until_the_api_is_back(reporter: Reporter) -> None:
    tries: list[int] = []

    def deliver(_: Any, n: int) -> None:
        tries.append(n)
        if len(tries) < 3:
            raise UnreachableError("away")

    arrived = threading.Event()
    reporter.send("first", deliver)
    reporter.send("second", lambda _, n: arrived.set())
    assert reporter.close(patience=20)
    assert tries == [1, 1, 1]
    assert arrived.is_set()


def test_sending_never_waits_for_a_delivery(reporter: Reporter) -> None:
    release = threading.Event()

    def deliver(_: AttemptApi, number: int) -> None:
        release.wait(60)

    reporter.send("slow", deliver)
    for _ in range(100):
        reporter.send("next", lambda *_: None)
    release.set()
    assert reporter.close(patience=10)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SupersededError("over"), StopReason.SUPERSEDED),
        (StoreFullError("full"), StopReason.SUPERSEDED),
        (RefusedError("422"), StopReason.UNDELIVERABLE),
    ],
)
def test_a_refusal_stops_the_training_and_everything_behind_it(
    reporter: Reporter, control: AttemptControl, error: WorkerApiError, reason: StopReason
) -> None:
    later: list[int] = []

    def refuse(*_: Any) -> None:
        raise error

    reporter.send("refused", refuse)
    reporter.send("later", lambda _, n: later.append(n))
    assert control.stopping.wait(60)
    assert control.reason is reason
    assert not reporter.close(patience=10)
    assert reporter.refusal is error
    assert later == []


def test_an_unexpected_error_is_a_refusal_and_does_not_leave_the_job_hanging(
    reporter: Reporter, control: AttemptControl
) -> None:

    def deliver(_: AttemptApi, number: int) -> None:
        raise ValueError("not a number")

    reporter.send("odd", deliver)
    assert control.stopping.wait(60)
    assert not reporter.close(patience=10)
    assert isinstance(reporter.refusal, RefusedError)
    assert "ValueError" in str(reporter.refusal)


def test_a_stopping_worker_gives_up_after_its_patience_even_when_told_late(
    reporter: Reporter, control: AttemptControl
) -> None:
    tried = threading.Event()

    def away(*_: Any) -> None:
        tried.set()
        raise UnreachableError("away")

    reporter.send("never", away)
    assert tried.wait(60)
    threading.Timer(0.3, control.stop, [StopReason.DRAIN]).start()
    assert not reporter.close(patience=0.2)
    reporter.join(timeout=10)
    assert not reporter.is_alive()
