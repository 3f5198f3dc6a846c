from __future__ import annotations

import pytest

from darts_core.runtime.backoff import Backoff

pytestmark = pytest.mark.light


def test_each_pause_is_twice_the_one_before_up_to_the_longest() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.pause() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_after_a_reset_the_first_pause_comes_again() -> None:
    backoff = Backoff(0.5, 3.0)
    backoff.pause()
    backoff.reset()
    assert [backoff.pause() for _ in range(2)] == [0.5, 1.0]
