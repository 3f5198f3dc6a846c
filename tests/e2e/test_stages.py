"""A job's stages, from where its work is done through the worker and the API to its reader."""

from __future__ import annotations

from collections.abc import Callable

from api.schemas.jobs import JobOut
from client.events import StepEvent
from client.sdk import Dartboard


def test_a_running_search_has_a_stage_before_its_first_step(
    dartboard: Dartboard, submit: Callable[..., JobOut]
) -> None:
    told = [event.progress for event in dartboard.follow(submit(epochs=1)) if isinstance(event, StepEvent)]
    before = [progress.stage for progress in told if progress.steps == 0]
    assert before
    assert set(before) <= {"preparing", "loading data", "compiling CPU kernels", "downloading: checkpoints"}
    assert any(progress.steps > 0 and progress.stage is None for progress in told)
