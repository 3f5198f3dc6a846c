"""An urgent job takes the only worker from a running search, which goes on later with the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from client.events import PreemptedEvent, StepEvent
from client.local.stack import LocalStack
from client.sdk import Dartboard
from tests.support.small_search import QUICK_SIGNS, SEARCH, until

# Some twenty steps in an epoch, so that an urgent job meets it in its middle.
SLOW = {**SEARCH, "channels": 8, "batch_size": 32, "epochs": 3, "seed": 3, "priority": 2}


@pytest.fixture(scope="module")
def dartboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dartboard]:
    # The search is near its end from its beginning.
    environment = {"DARTBOARD_PREEMPT_REMAINING_SECONDS": "0", **QUICK_SIGNS}
    with (
        LocalStack(tmp_path_factory.mktemp("preempted"), port=0, workers=1, environment=environment) as stack,
        Dartboard(stack.url) as sdk,
    ):
        yield sdk


def test_a_preempted_search_ends_like_an_undisturbed_one_bit_for_bit(dartboard: Dartboard, tmp_path: Path) -> None:
    search = dartboard.submit("search", SLOW)
    until(
        dartboard.follow(search), lambda e: isinstance(e, StepEvent) and e.progress.epoch == 2 and e.progress.step > 0
    )
    urgent = dartboard.submit("search", {**SEARCH, "epochs": 1, "priority": 9})
    preempted = until(dartboard.follow(search), lambda e: isinstance(e, PreemptedEvent))
    assert isinstance(preempted, PreemptedEvent)
    assert preempted.by == urgent.id
    urgent, search = dartboard.wait(urgent), dartboard.wait(search)
    assert [urgent.status, search.status, search.attempt, search.preemptions] == ["succeeded", "succeeded", 2, 1]
    assert urgent.finished_at is not None
    assert search.finished_at is not None
    assert urgent.finished_at < search.finished_at
    resumed = [line.message for line in dartboard.logs(search.id) if line.message.startswith("attempt 2")]
    assert "steps" in resumed[0], "it was not preempted in the middle of an epoch"

    undisturbed = dartboard.wait(dartboard.submit("search", SLOW))
    assert undisturbed.attempt == 1
    assert [e.alphas for e in dartboard.epochs(search.id)] == [e.alphas for e in dartboard.epochs(undisturbed.id)]
    assert [e.metrics for e in dartboard.epochs(search.id)] == [e.metrics for e in dartboard.epochs(undisturbed.id)]
    found, expected = (
        torch.load(dartboard.download_checkpoint(job.id, tmp_path / f"{job.id}.pt"), weights_only=True)["weights"]
        for job in (search, undisturbed)
    )
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
