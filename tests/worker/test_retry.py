"""Calls that are repeated while the API is away."""

from __future__ import annotations

import pytest

from worker.api_client import RefusedError, UnreachableError
from worker.retry import until_answered

pytestmark = pytest.mark.light


class Away:
    """An API that does not answer the first calls."""

    def __init__(self, times: int) -> None:
        self.left = times

    def call(self) -> str:
        if self.left:
            self.left -= 1
            raise UnreachableError(f"{self.left} left")
        return "answer"


def test_each_unanswered_call_is_told_and_repeated_after_a_longer_pause() -> None:
    pauses: list[float] = []
    told: list[str] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return False

    answer = until_answered(Away(3).call, wait=wait, tell=lambda error: told.append(str(error)))
    assert (answer, pauses, told) == ("answer", [0.2, 0.4, 0.8], ["2 left", "1 left", "0 left"])


def test_a_wait_that_is_given_up_raises_the_last_error() -> None:
    with pytest.raises(UnreachableError, match="1 left"):
        until_answered(Away(2).call, wait=lambda _: True)


def test_patience_ends_the_calls() -> None:
    api = Away(10**9)
    with pytest.raises(UnreachableError):
        until_answered(api.call, wait=lambda _: False, patience=0.0)


def test_a_refusal_is_an_answer() -> None:
    def refuse() -> None:
        raise RefusedError("no")

    with pytest.raises(RefusedError):
        until_answered(refuse, wait=lambda _: pytest.fail("waited"))
