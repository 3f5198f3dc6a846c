"""Unexpected errors in the threads beside an attempt, and in its log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from prometheus_client import Counter

from api.schemas.worker import LogReport
from darts_core.runtime.backoff import Backoff
from worker.attempt_log import AttemptLog
from worker.drain import DrainWatch
from worker.failures import failure_of
from worker.heartbeat import HeartbeatThread
from worker.presence import PresenceThread
from worker.prometheus import metrics
from worker.reporter import Reporter
from worker.threads import SupervisedThread


class Failing(SupervisedThread):
    """Fails so many times, then waits until it is ended."""

    def __init__(self, times: int, pause: float) -> None:
        super().__init__("failing")
        self._backoff = Backoff(pause)
        self._left = times
        self.works, self.failures = threading.Event(), 0

    def work(self) -> None:
        if self._left:
            self._left -= 1
            self.failures += 1
            raise OSError("an input/output error")
        self.works.set()
        self._over.wait()

    def end(self) -> None:
        self._over.set()
        self.join(timeout=10)


def _count(counter: Counter) -> float:
    [family] = counter.collect()
    return next(sample.value for sample in family.samples if sample.name.endswith("_total"))


def test_a_thread_that_fails_is_counted_and_works_again() -> None:
    counter = metrics().thread_failures.labels("failing")
    before = _count(counter)
    thread = Failing(3, pause=0.001)
    thread.start()
    assert thread.works.wait(60)
    assert thread.failures == _count(counter) - before == 3
    thread.end()
    assert not thread.is_alive()


def test_a_thread_that_keeps_failing_can_be_ended() -> None:
    thread = Failing(10**9, pause=60.0)
    thread.start()
    thread.end()
    assert not thread.is_alive()


@pytest.mark.parametrize("kind", [HeartbeatThread, Reporter, PresenceThread, DrainWatch])
def test_every_thread_of_a_worker_is_supervised(kind: type[threading.Thread]) -> None:
    assert issubclass(kind, SupervisedThread)
    assert kind.run is SupervisedThread.run


class Sent:
    """Takes reports as a reporter does, and keeps them."""

    def __init__(self) -> None:
        self.reports: list[LogReport] = []

    def send(self, _: str, deliver: Callable[[Any, int], None]) -> None:
        deliver(self, len(self.reports) + 1)

    def report_logs(self, report: LogReport) -> None:
        self.reports.append(report)


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def log(sent: Sent) -> logging.Logger:
    logger = logging.Logger("of-one-test")
    logger.addHandler(AttemptLog(cast(Reporter, sent)))
    return logger


def test_a_line_with_arguments_that_do_not_fit_stops_no_training(log: logging.Logger, sent: Sent) -> None:
    log.warning("%d images", "many")
    log.warning("after")
    assert [line.message for report in sent.reports for line in report.lines] == ["after"]


def test_a_name_that_no_database_takes_reaches_the_job_s_log_in_writing(log: logging.Logger, sent: Sent) -> None:
    log.warning("cannot read %s", "caf\udce9\0.png")
    [report] = sent.reports
    assert report.lines[0].message == "cannot read caf\\udce9\N{REPLACEMENT CHARACTER}.png"
    report.model_dump_json()


def test_a_failure_that_names_such_a_file_can_be_reported() -> None:
    failure = failure_of(ValueError("caf\udce9\0.png"), [])
    assert failure.message == "caf\\udce9\N{REPLACEMENT CHARACTER}.png"
    failure.model_dump_json()
