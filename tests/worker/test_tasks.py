"""A woken child while the API is away."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import SecretStr

from worker import attempt
from worker.api_client import SupersededError, UnreachableError, WorkerApi
from worker.settings import WorkerSettings


@pytest.fixture
def settings(tmp_path: Path) -> WorkerSettings:
    return WorkerSettings(worker_key=SecretStr("k" * 16), worker_state=tmp_path)


@pytest.fixture
def wake(settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    # The Celery app is made at import, and wants a worker's settings.
    monkeypatch.setenv("DARTBOARD_WORKER_KEY", "k" * 16)
    tasks = import_module("worker.tasks")
    monkeypatch.setattr(tasks, "get_settings", lambda: settings)
    monkeypatch.setattr(tasks, "_FIRST_PAUSE", 0.01)
    return tasks.wake  # type: ignore[no-any-return]


def test_a_claim_that_finds_no_api_is_made_again_by_the_same_child(
    wake: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Exception | bool] = [UnreachableError("away"), UnreachableError("away"), True, False]
    tokens = []

    def claim_and_run(_: WorkerApi, __: WorkerSettings, token: str) -> bool:
        tokens.append(token)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(attempt, "claim_and_run", claim_and_run)
    wake()
    assert answers == []
    # An answer that was lost on its way may have been a job: the same claim finds it again.
    assert tokens[0] == tokens[1] == tokens[2] != tokens[3]


def test_a_child_that_is_told_to_stop_does_not_wait_for_the_api(
    wake: Callable[[], None], settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def claim_and_run(_: WorkerApi, __: WorkerSettings, token: str) -> bool:
        nonlocal asked
        asked += 1
        settings.drain_flag.touch()
        raise UnreachableError("away")

    monkeypatch.setattr(attempt, "claim_and_run", claim_and_run)
    wake()
    assert asked == 1


def test_a_claim_whose_job_has_gone_on_meanwhile_is_made_anew(
    wake: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Exception | bool] = [UnreachableError("away"), SupersededError("over"), False]
    tokens = []

    def claim_and_run(_: WorkerApi, __: WorkerSettings, token: str) -> bool:
        tokens.append(token)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(attempt, "claim_and_run", claim_and_run)
    wake()
    assert answers == []
    assert tokens[0] == tokens[1] != tokens[2]
