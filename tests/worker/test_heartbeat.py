"""The directives that a heartbeat brings, and the worker's reactions."""

import threading
from pathlib import Path
from typing import cast

import pytest
from pydantic import SecretStr

from api.schemas.worker import Directive, Heartbeat
from worker.api_client import AttemptApi, SupersededError, UnreachableError
from worker.control import AttemptControl, StopReason
from worker.drain import DrainWatch
from worker.heartbeat import HeartbeatThread
from worker.settings import WorkerSettings

pytestmark = pytest.mark.light


class Answers:
    """An attempt's API that gives these answers, then the last one for ever."""

    def __init__(self, *answers: Directive | Exception) -> None:
        self._answers = list(answers)
        self.asked = threading.Semaphore(0)

    def heartbeat(self, _: Heartbeat) -> Directive:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self.asked.release()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def settings(tmp_path: Path) -> WorkerSettings:
    return WorkerSettings(
        worker_key=SecretStr("k" * 16),
        worker_state=tmp_path,
        heartbeat_pause_seconds=0.01,
        drain_look_seconds=0.01,
        stop_grace_seconds=0.05,
    )


CONTINUE = Directive(directive="continue")


def test_an_api_that_is_away_does_not_stop_the_training(settings: WorkerSettings) -> None:
    control, answers = AttemptControl(), Answers(UnreachableError("away"), CONTINUE)
    thread = HeartbeatThread(cast(AttemptApi, answers), control, settings, 20.0)
    thread.start()
    for _ in range(5):
        assert answers.asked.acquire(timeout=10)
    assert not control.should_stop()
    thread.end()


def test_a_pause_is_passed_on(settings: WorkerSettings) -> None:
    control, answers = AttemptControl(), Answers(Directive(directive="pause"))
    thread = HeartbeatThread(cast(AttemptApi, answers), control, settings, 20.0)
    thread.start()
    for _ in range(3):
        assert answers.asked.acquire(timeout=10)
    assert control.pause_after_epoch
    assert not control.should_stop()
    thread.end()


def test_a_pause_at_once_stops_the_training_and_gives_way_to_a_drain(settings: WorkerSettings) -> None:
    control = AttemptControl()
    thread = HeartbeatThread(
        cast(AttemptApi, Answers(Directive(directive="pause", at_once=True))), control, settings, 20.0
    )
    thread.start()
    assert control.stopping.wait(60)
    reasons = [control.reason]
    assert not control.pause_after_epoch
    control.stop(StopReason.DRAIN)
    assert [*reasons, control.reason] == [StopReason.PREEMPTED, StopReason.DRAIN]
    thread.end()


def test_a_superseded_attempt_stops_and_a_step_that_does_not_end_is_left(settings: WorkerSettings) -> None:
    control, left = AttemptControl(), threading.Event()
    thread = HeartbeatThread(cast(AttemptApi, Answers(SupersededError("over"))), control, settings, 20.0, left.set)
    thread.start()
    assert left.wait(60)
    assert control.reason is StopReason.SUPERSEDED


def test_a_refusal_after_the_last_report_is_expected(settings: WorkerSettings) -> None:
    control, left = AttemptControl(), threading.Event()
    thread = HeartbeatThread(cast(AttemptApi, Answers(SupersededError("over"))), control, settings, 20.0, left.set)
    thread.expect_the_end()
    thread.start()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert not control.should_stop()
    assert not left.is_set()


def test_the_drain_flag_asks_the_training_to_stop(settings: WorkerSettings) -> None:
    control = AttemptControl()
    thread = DrainWatch(control, settings)
    settings.drain_flag.touch()
    thread.start()
    assert control.stopping.wait(60)
    assert control.reason is StopReason.DRAIN
    thread.end()


def test_a_beat_is_held_for_less_than_the_lease(settings: WorkerSettings) -> None:
    held: list[float] = []
    enough = threading.Event()

    class Recording(Answers):
        def heartbeat(self, beat: Heartbeat) -> Directive:
            held.append(beat.hold)
            enough.set()
            return super().heartbeat(beat)

    thread = HeartbeatThread(cast(AttemptApi, Recording(CONTINUE)), AttemptControl(), settings, 2.0)
    thread.start()
    assert enough.wait(60)
    thread.end()
    assert held[0] == 0.5
